//! The site that `docs/site.md` sets up, out of its own files: what a reader copies from there is what runs here, with this
//! network's addresses and folders in place of the page's.

use super::net::Host;
use anyhow::{Context, Result, ensure};
use platform_bus::testing::Authority;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../docs/site.md");
/// How a role is started where the package is installed, and where it listens then.
const UNIT: &str = include_str!("../../../packaging/systemd/skyiron@.service");
const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/roles");
/// What the page has for every password.
pub const PASSWORD: &str = "PASSWORD";
/// The host of PostgreSQL and NATS, and what its certificate is for.
pub const STORE: &str = "db1.example";
const ROOT: &str = "/etc/skyiron/ca.pem";

pub struct Documented {
    /// By `HOST:PATH`.
    files: BTreeMap<String, String>,
    authority: Authority,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Documented {
    /// `store`: the address of the host of PostgreSQL and NATS; its certificate is good for that, too.
    pub(super) fn of(store: &Host) -> Result<Self> {
        let files = files(PAGE);
        ensure!(files.len() == 4, "the files of the page: {:?}", files.keys());
        let authority = Authority::new();
        let (certificate, key) = authority.issue_for(STORE, &[&store.address]);
        Ok(Self { files, authority, certificate, key })
    }

    /// The file of the authority that everybody trusts.
    pub fn root(&self) -> PathBuf {
        self.authority.root()
    }

    /// The configuration of NATS, as a file.
    pub(super) fn nats(&self, folder: &Path) -> Result<PathBuf> {
        let text = self.file("db1:/etc/nats-server.conf")?;
        let text = replaced(text, "/etc/nats/db1.pem", &self.certificate.display().to_string())?;
        let text = replaced(&text, "/etc/nats/db1.key", &self.key.display().to_string())?;
        let path = folder.join("nats.conf");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The file of a host: the page has that of the first of each kind.
    pub(super) fn of_host(&self, host: &Host, balancer: &str, images: &str) -> Result<String> {
        let kind = host.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let text = self.file(&format!("{kind}1:/etc/skyiron/skyiron.toml"))?;
        let text = replaced(text, ROOT, &self.root().display().to_string())?;
        match kind {
            "ctl" => replaced(&replaced(&text, "http://10.0.0.10:8700", balancer)?, "\"ctl1\"", &quoted(&host.name)),
            "img" => replaced(&replaced(&text, "10.0.0.21", &host.address)?, "/var/lib/skyiron/images", images),
            _ => replaced(&text, "\"cmp1\"", &quoted(&host.name)),
        }
    }

    fn file(&self, name: &str) -> Result<&str> {
        self.files.get(name).map(String::as_str).with_context(|| format!("the page has no file {name}"))
    }
}

/// The command of the package's unit, with these places in place of the installed ones, and the port of its role.
pub(super) fn command(role: &str, config: &Path, data: &Path, address: &str) -> Result<(Vec<String>, u16)> {
    let listen =
        std::fs::read_to_string(Path::new(ROLES).join(role)).with_context(|| format!("the address of {role}"))?;
    let listen = listen.lines().find_map(|l| l.strip_prefix("LISTEN=")).context("LISTEN=")?;
    let port = listen.rsplit(':').next().context("a port")?.parse()?;
    let line = UNIT.lines().find_map(|l| l.strip_prefix("ExecStart=/usr/bin/skyiron ")).context("ExecStart=")?;
    let line = replaced(line, "/etc/skyiron/skyiron.toml", &config.display().to_string())?;
    let line = replaced(&line, "/var/lib/skyiron/%i", &data.display().to_string())?;
    let line = replaced(&line, "${LISTEN}", &format!("{address}:{port}"))?;
    Ok((replaced(&line, "%i", role)?.split(' ').map(str::to_owned).collect(), port))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "{from} is not in the page's file: {text}");
    Ok(text.replace(from, to))
}

/// A line with nothing but a name in backticks, and the block after it.
fn files(page: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut lines = page.lines();
    let mut name = None;
    while let Some(line) = lines.next() {
        let alone = line.strip_prefix('`').and_then(|l| l.strip_suffix('`')).filter(|l| l.contains(":/"));
        if let Some(alone) = alone {
            name = Some(alone.to_owned());
        } else if line.starts_with("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            files.extend(name.take().map(|name| (name, text.join("\n") + "\n")));
        }
    }
    files
}

/// With further lines in their sections, which may be there already.
pub(super) fn with(mut text: String, sections: &BTreeMap<String, Vec<String>>) -> String {
    for (section, lines) in sections {
        let (head, lines) = (format!("[{section}]\n"), lines.join("\n"));
        match text.find(&head) {
            Some(at) => text.insert_str(at + head.len(), &format!("{lines}\n")),
            None => text.push_str(&format!("{head}{lines}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_line_before_them() {
        let page = "x `a` y\n\n`h:/f`\n\n```toml\n[a]\nb = 1\n```\n\n```sh\nother\n```\n";
        assert_eq!(files(page), BTreeMap::from([("h:/f".to_owned(), "[a]\nb = 1\n".to_owned())]));
        let more = BTreeMap::from([("a".to_owned(), vec!["c = 2".to_owned()]), ("z".to_owned(), vec!["d = 3".into()])]);
        assert_eq!(with("[a]\nb = 1\n".to_owned(), &more), "[a]\nc = 2\nb = 1\n[z]\nd = 3\n");
    }
}
