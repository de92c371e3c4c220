//! I6: what a row names exists. Most references are the database's own to keep; SQLite keeps them only for who asks it
//! to, so all of them are looked at there. The others, which no constraint holds, are listed here.
//!
//! Not among them, because OpenStack lets them dangle: key pairs, server groups and quotas of users and projects that
//! are gone, a user's default project, members of a shared image, and a deleted image of a server.

use crate::finding::mend;
use crate::{Check, DoctorError, Finding, Look, MOST, Remedy};
use async_trait::async_trait;
use platform_db::{Dialect, args, built};

pub(super) struct References;

struct Reference {
    /// `FROM` and `WHERE` of rows whose reference leads nowhere; `c` is the row.
    broken: &'static str,
    subject: &'static str,
    /// SQL of the text that names the row and what it refers to.
    proof: &'static str,
    remedy: Cure,
}

enum Cure {
    /// The row means nothing: it is deleted, if it still leads nowhere. Its table and key columns.
    Delete(&'static str, &'static [&'static str]),
    Person(&'static str),
}

const GRANT: Cure = Cure::Delete(
    "identity_assignments",
    &["actor_id", "target_id", "role_id", "inherited", "actor_type", "target_type"],
);

const REFERENCES: &[Reference] = &[
    Reference {
        broken: "instances c WHERE c.deleted_at IS NULL AND c.host IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM hypervisors p WHERE p.host = c.host)",
        subject: "c.uuid",
        proof: "'server ' || c.uuid || ' is on host ' || c.host || ', which is not known'",
        remedy: Cure::Person("start the host's compute-agent again, or delete the server"),
    },
    Reference {
        broken: "instances c WHERE c.deleted_at IS NULL AND c.image_id IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM images p WHERE p.id = c.image_id)",
        subject: "c.uuid",
        proof: "'server ' || c.uuid || ' was made from image ' || c.image_id || ', of which there is no record'",
        remedy: Cure::Person("nothing, while it runs; it cannot be built anew"),
    },
    Reference {
        broken: "instances c WHERE c.deleted_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM identity_projects p WHERE p.id = c.project_id)",
        subject: "c.uuid",
        proof: "'server ' || c.uuid || ' belongs to project ' || c.project_id || ', which does not exist'",
        remedy: Cure::Person("delete the server as an admin: nobody else can reach it"),
    },
    Reference {
        broken: "hypervisors c WHERE NOT EXISTS (SELECT 1 FROM resource_providers p WHERE p.id = c.uuid)",
        subject: "c.uuid",
        proof: "'host ' || c.host || ' has no resource provider ' || c.uuid",
        remedy: Cure::Person("restart the host's compute-agent: it registers anew"),
    },
    Reference {
        broken: "aggregate_hosts c WHERE NOT EXISTS (SELECT 1 FROM compute_services p WHERE p.host = c.host)",
        subject: "c.host",
        proof: "'aggregate ' || CAST(c.aggregate_id AS TEXT) || ' has host ' || c.host || ', which is not known'",
        remedy: Cure::Delete("aggregate_hosts", &["aggregate_id", "host"]),
    },
    Reference {
        broken: "image_members c WHERE EXISTS
                 (SELECT 1 FROM images p WHERE p.id = c.image_id AND p.deleted_at IS NOT NULL)",
        subject: "c.image_id",
        proof: "'deleted image ' || c.image_id || ' still has member ' || c.member",
        remedy: Cure::Delete("image_members", &["image_id", "member"]),
    },
    Reference {
        broken: "identity_assignments c WHERE c.actor_type = 'user'
                 AND NOT EXISTS (SELECT 1 FROM identity_users p WHERE p.id = c.actor_id)",
        subject: "c.actor_id",
        proof: "'role ' || c.role_id || ' is given to user ' || c.actor_id || ', who does not exist'",
        remedy: GRANT,
    },
    Reference {
        broken: "identity_assignments c WHERE c.actor_type = 'group'
                 AND NOT EXISTS (SELECT 1 FROM identity_groups p WHERE p.id = c.actor_id)",
        subject: "c.actor_id",
        proof: "'role ' || c.role_id || ' is given to group ' || c.actor_id || ', which does not exist'",
        remedy: GRANT,
    },
    Reference {
        broken: "identity_assignments c WHERE c.target_type IN ('project', 'domain')
                 AND NOT EXISTS (SELECT 1 FROM identity_projects p WHERE p.id = c.target_id)",
        subject: "c.target_id",
        proof: "'role ' || c.role_id || ' is given on ' || c.target_type || ' ' || c.target_id || ', which does not exist'",
        remedy: GRANT,
    },
];

#[async_trait]
impl Check for References {
    fn name(&self) -> &'static str {
        "references"
    }
    fn holds(&self) -> &'static str {
        "what a row names exists: a grant to nobody is a grant to whoever gets that id next"
    }

    async fn find(&self, look: &Look) -> Result<Vec<Finding>, DoctorError> {
        let mut findings = Vec::new();
        for reference in REFERENCES {
            let sql = format!(
                "SELECT {}, {} FROM {} ORDER BY 1, 2 LIMIT {MOST}",
                reference.subject, reference.proof, reference.broken
            );
            let rows: Vec<(String, String)> = look.db.fetch_all(built(sql), args![]).await?;
            findings.extend(rows.into_iter().map(|(subject, proof)| reference.finding(subject, proof)));
        }
        if look.db.dialect() == Dialect::Sqlite {
            let sql = "SELECT \"table\", parent, COUNT(*) FROM pragma_foreign_key_check GROUP BY 1, 2";
            for (table, parent, n) in look.db.fetch_all::<(String, String, i64)>(sql, args![]).await? {
                let proof = format!("{n} rows of {table} refer to rows of {parent} that do not exist");
                let what = "somebody wrote past skyiron: restore a backup, or delete the rows by hand";
                findings.push(Finding::new(table, proof, Remedy::Person(what)).key(parent));
            }
        }
        Ok(findings)
    }
}

impl Reference {
    fn finding(&'static self, subject: String, proof: String) -> Finding {
        let remedy = match self.remedy {
            Cure::Person(what) => Remedy::Person(what),
            Cure::Delete(table, key) => {
                let proof = proof.clone();
                Remedy::Safe(
                    "the row is deleted",
                    mend(move |tx, _| {
                        Box::pin(async move {
                            let columns = key.join(", ");
                            let selected: Vec<String> = key.iter().map(|k| format!("c.{k}")).collect();
                            let sql = format!(
                                "DELETE FROM {table} WHERE ({columns}) IN (SELECT {} FROM {} AND {} = $1)",
                                selected.join(", "),
                                self.broken,
                                self.proof
                            );
                            Ok(tx.execute(built(sql), args![proof]).await? > 0)
                        })
                    }),
                )
            }
        };
        let key = proof.clone();
        Finding::new(subject, proof, remedy).key(key)
    }
}
