//! What tests of several stores share.

pub(crate) use image_backends::testing::{Server, free_port, tools};
use image_backends::{ClientSettings, Clients};
use image_model::{Backend, BackendError};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Clients that give up soon.
pub(crate) fn clients() -> Clients {
    Clients::open(&ClientSettings { timeout: Duration::from_secs(10), ca_file: None }).unwrap()
}

/// A server that takes connections, and says nothing.
pub(crate) struct Silent(TcpListener);

impl Silent {
    pub(crate) fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }
    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
    pub(crate) fn clients(&self) -> Clients {
        let asking = platform_http::client().read_timeout(Duration::from_millis(200)).build().unwrap();
        Clients { sending: asking.clone(), asking }
    }
    /// Not by whoever wants to write there, nor by who wants to know or to read.
    pub(crate) async fn is_not_waited_for(&self, store: &dyn Backend) {
        let began = Instant::now();
        let location = store.location("x");
        let mut errors =
            vec![store.size(&location).await.err().unwrap(), store.open(&location, None).await.err().unwrap()];
        if !store.is_read_only() {
            errors.push(store.create("x", None).await.err().unwrap());
        }
        for error in errors {
            assert!(matches!(error, BackendError::Unavailable(_)), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(15));
    }
}

/// `false`, and a line that says so: the test is left out.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: mounting takes root");
    }
    root
}

const NGINX: &str = "daemon off; pid DIR/pid; error_log stderr; worker_processes 1;
events { worker_connections 64; }
http {
  access_log off; client_max_body_size 0;
  client_body_temp_path DIR/tmp; proxy_temp_path DIR/tmp; fastcgi_temp_path DIR/tmp; uwsgi_temp_path DIR/tmp;
  scgi_temp_path DIR/tmp;
  SITES
}";

/// nginx on a folder of its own, with these servers of which one listens on `port`; `DIR` in them is the folder. `None`, and a
/// line that says so: it is not there.
pub(crate) fn nginx(folder: &Path, sites: &str, port: u16) -> Option<Server> {
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
    let Some(program) = program else {
        eprintln!("skipped: nginx is not installed");
        return None;
    };
    // its workers are another user's
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder, open).unwrap();
    std::fs::create_dir(folder.join("tmp")).unwrap();
    let conf = NGINX.replace("SITES", sites).replace("DIR", &folder.display().to_string());
    std::fs::write(folder.join("conf"), conf).unwrap();
    Some(Server::start(Command::new(program).arg("-p").arg(folder).arg("-c").arg(folder.join("conf")), port))
}
