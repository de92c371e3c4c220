//! Swift's own proxy, account, container and object servers.

use super::{Server, free_port, tools};
use std::fs;
use std::path::Path;
use std::process::Command;

const PROXY: &str = "[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats tokens dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tokens]
paste.filter_factory = tokens:factory
SOURCE
[filter:dlo]
use = egg:swift#dlo
";

/// Lets through whose token is the one in a file, or, told where identity is, one that identity says is good for a project
/// whose account it is.
const FILTER: &str = "
import json, urllib.error, urllib.request

def is_good(conf, path, token):
    if 'file' in conf:
        return token == open(conf['file']).read()
    headers = {'X-Auth-Token': token, 'X-Subject-Token': token}
    try:
        with urllib.request.urlopen(urllib.request.Request(conf['identity'] + '/auth/tokens', headers=headers)) as answer:
            project = json.load(answer)['token']['project']['id']
    except urllib.error.HTTPError:
        return False
    return path.split('/')[2] == 'AUTH_' + project

def factory(conf, **local):
    def wrap(app):
        def serve(env, start):
            if not is_good(local, env['PATH_INFO'], env.get('HTTP_X_AUTH_TOKEN', '')):
                start('401 Unauthorized', [('content-length', '0')])
                return [b'']
            return app(env, start)
        return serve
    return wrap
";

/// Who says which tokens are good.
pub enum Tokens {
    /// The only good one stands in the file that [`Swift::token_is`] writes.
    Named,
    /// Identity at that URL, a v3 root.
    Identity(String),
}

/// Ends with the test, and leaves nothing.
pub struct Swift {
    dir: tempfile::TempDir,
    servers: Vec<Server>,
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program that is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn ring(bin: &Path, dir: &Path, name: &str, port: u16) {
    let builder = || {
        let mut command = Command::new(bin.join("swift-ring-builder"));
        command.current_dir(dir).arg(format!("{name}.builder"));
        command
    };
    run(builder().args(["create", "2", "1", "0"]));
    run(builder().args(["add", &format!("r1z1-127.0.0.1:{port}/sda"), "1"]));
    run(builder().arg("rebalance"));
}

fn server(bin: &Path, dir: &Path, name: &str, port: u16, rest: &str) -> Server {
    let dir_text = dir.display().to_string();
    let user = if nix::unistd::geteuid().is_root() { "root".into() } else { std::env::var("USER").unwrap_or_default() };
    let head = format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\ndevices = {dir_text}\nmount_check = false\n\
         swift_dir = {dir_text}\nuser = {user}\n"
    );
    let conf = dir.join(format!("{name}.conf"));
    write(&conf, &(head + rest));
    let program = bin.join(format!("swift-{name}-server"));
    Server::start(Command::new(program).arg(&conf).env("PYTHONPATH", dir), port)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a folder to write to");
}

impl Swift {
    /// `None`, and a line that says so: it is not installed.
    pub fn start(tokens: &Tokens) -> Option<Self> {
        let bin = tools()?;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path();
        fs::create_dir(folder.join("sda")).expect("a folder in it");
        let hash = "[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n[storage-policy:0]\nname = only\n\
                    default = yes\n";
        write(&folder.join("swift.conf"), hash);
        write(&folder.join("tokens.py"), FILTER);
        write(&folder.join("good"), "none yet");
        let ports = ["account", "container", "object"].map(|name| (name, free_port()));
        for (name, port) in ports {
            ring(&bin, folder, name, port);
        }
        let app = |name: &str| {
            format!("[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n")
        };
        let mut servers: Vec<Server> =
            ports.iter().map(|(name, port)| server(&bin, folder, name, *port, &app(name))).collect();
        let source = match tokens {
            Tokens::Named => format!("file = {}/good", folder.display()),
            Tokens::Identity(url) => format!("identity = {url}"),
        };
        servers.push(server(&bin, folder, "proxy", free_port(), &PROXY.replace("SOURCE", &source)));
        Some(Self { dir, servers })
    }

    /// The proxy's.
    pub fn port(&self) -> u16 {
        self.servers.last().map_or(0, |proxy| proxy.port)
    }

    pub fn token_is(&self, token: &str) {
        write(&self.dir.path().join("good"), token);
    }

    /// All of it is away from now on.
    pub fn end(&mut self) {
        self.servers.clear();
    }
}
