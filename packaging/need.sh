# For `start` and `test`: need PACKAGE… installs from apt what is missing of them.
need() {
  local missing package as_root=() round
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  # twice: installing one package may remove another of the list, where a machine has it from elsewhere (QEMU's parts
  # must all be of one version)
  for round in 1 2; do
    missing=()
    for package in "$@"; do
      dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    # the guest image is made of packages that apt downloads, so its lists must be there even if nothing is missing
    if [ ${#missing[@]} -gt 0 ] || ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then
      echo "installing ${missing[*]}"
      "${as_root[@]}" apt-get update -qq
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
    fi
  done
}
