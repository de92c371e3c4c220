//! Whether everything has come to its end.

use super::Cluster;
use crate::{BOOT, until};
use anyhow::{Context, Result, ensure};
use platform_db::{Db, args};

impl Cluster {
    /// Operations of one server that have not ended; of all, without one.
    pub async fn under_way(&self, server: &str) -> Result<i64> {
        let db = Db::open(&self.postgres.url).await?;
        let count = "SELECT COUNT(*) FROM operations WHERE state = 'running' AND ($1 = '' OR subject = $1)";
        let (count,): (i64,) = db.fetch_one(count, args![server]).await?;
        db.close().await;
        Ok(count)
    }

    /// Waits until nothing is under way, and has the doctor look whether what must hold holds. So many VCPUs are held.
    pub async fn is_at_rest(&self, vcpus: u64) -> Result<()> {
        let mut left = 0;
        let ended = until(BOOT, async || {
            left = self.under_way("").await?;
            Ok(left == 0)
        });
        ended.await.with_context(|| format!("{left} operations do not end"))?;
        let held = self.allocated().await?.iter().filter(|(class, _)| class == "VCPU").map(|(_, n)| n).sum::<u64>();
        ensure!(held == vcpus, "{held} VCPUs are held");
        let (config, data) =
            (self.file("ctl1").display().to_string(), self.data("identity@ctl1").display().to_string());
        let doctor = self.net.run("ctl1", &self.plan.binary, &["doctor", "--config", &config, "--data", &data])?;
        ensure!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
        Ok(())
    }
}
