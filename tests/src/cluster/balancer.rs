//! What clients reach: one address before all controllers, HAProxy. It tries another controller where one refuses the
//! connection, and repeats nothing that may have been done.

use super::net::Host;
use super::{CONTROL, IMAGE, PUBLIC};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(super) struct Balancer {
    pub(super) url: String,
    child: Child,
}

const PORT: u16 = 8700;
/// Its own page: which servers it takes for healthy.
const STATS: &str = "/balancer";

impl Balancer {
    pub(super) fn start(host: &Host, controllers: &[Host], images: &[Host], folder: &Path) -> Result<Self> {
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, configuration(host, controllers, images))?;
        let log = std::fs::File::create(folder.join("haproxy.log"))?;
        let child = Command::new("ip")
            .args(["netns", "exec", &host.space, "haproxy", "-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("haproxy (apt-get install haproxy)")?;
        Ok(Self { url: format!("http://{}:{PORT}", host.address), child })
    }
}

impl Balancer {
    /// Names of servers it sends nobody to now.
    pub(super) async fn missing(&self) -> Result<Vec<String>> {
        let page = platform_http::client().build()?.get(format!("{}{STATS};csv", self.url));
        let text = page.send().await?.error_for_status()?.text().await?;
        let rows = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
        // pxname, svname, …, status as the 18th
        let servers = rows.filter(|r| r.len() > 17 && !["svname", "FRONTEND", "BACKEND"].contains(&r[1]));
        Ok(servers.filter(|r| !r[17].starts_with("UP")).map(|r| format!("{}@{}", r[0], r[1])).collect())
    }
}

fn configuration(host: &Host, controllers: &[Host], images: &[Host]) -> String {
    // who is dead refuses a check at once; who only is slow, on a busy machine, is given time
    let mut text = format!(
        "defaults\n  mode http\n  timeout connect 2s\n  timeout client 120s\n  timeout server 120s\n  \
         timeout check 2s\n  retries 4\n  \
         option redispatch 1\n  retry-on conn-failure\n  option http-server-close\n\
         frontend clients\n  bind {}:{PORT}\n  stats enable\n  stats uri {STATS}\n",
        host.address
    );
    for (path, role) in PUBLIC {
        text += &format!("  use_backend {role} if {{ path_beg /{path} }}\n");
    }
    for (_, role) in PUBLIC {
        let (servers, port) = match CONTROL.iter().find(|(r, _)| *r == role) {
            Some((_, port)) => (controllers, *port),
            None => (images, IMAGE.1),
        };
        text += &format!(
            "backend {role}\n  option httpchk GET /healthz\n  default-server check inter 200ms fall 1 rise 1\n"
        );
        for server in servers {
            text += &format!("  server {} {}:{port}\n", server.name, server.address);
        }
    }
    text
}

impl Drop for Balancer {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("the balancer cannot be ended: {error}");
        }
    }
}
