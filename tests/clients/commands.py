"""The clients' commands as a user types them, for a cloud that OS_CLIENT_CONFIG_FILE and OS_CLOUD name."""
import json
import os
import pty
import subprocess
import time


def osc(*arguments, check=True):
    done = subprocess.run(["openstack", *arguments], capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"openstack {' '.join(arguments)}: {done.stderr}")
    return done


def js(*arguments):
    return json.loads(osc(*arguments, "-f", "json").stdout)


def glance(conn, *arguments):
    """One call of glanceclient's own command, whose login the SDK's connection has."""
    auth = conn.config.get_auth_args()
    environment = {
        **os.environ,
        "OS_AUTH_URL": auth["auth_url"], "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"], "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default", "OS_IMAGE_API_VERSION": "2",
    }
    # anything but a terminal on standard input it would take for image data
    terminal, end = pty.openpty()
    done = subprocess.run(["glance", *arguments], stdin=end, capture_output=True, text=True, env=environment)
    os.close(terminal)
    os.close(end)
    assert done.returncode == 0, f"glance {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def wait(what, ask, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds} s")
