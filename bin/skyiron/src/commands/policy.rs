//! `skyiron policy list`, `skyiron policy check`: the rules a service follows, and what they say to somebody. What
//! oslopolicy-policy-generator, oslopolicy-list-redundant and oslopolicy-checker do for OpenStack.

use crate::config::{self, Config};
use anyhow::{Context, Result, bail};
use base::context::{Scope, TokenFacts};
use base::policy::{Enforcer, Target};
use base::{DomainId, ProjectId, RequestContext, RequestId, Timestamp, UserId};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    Identity,
    Compute,
    Image,
    Placement,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Prints the rules in force, as a policy.yaml, each with what it protects.
    List {
        service: Service,
        /// Only those that the operator's file changes or adds.
        #[arg(long)]
        changed: bool,
        #[command(flatten)]
        rules: Rules,
    },
    /// Says whether somebody may do what a rule protects. Fails if not.
    Check {
        service: Service,
        /// The rule, as `policy list` names it; `all`: every one, without failing.
        rule: String,
        #[command(flatten)]
        who: Who,
        /// What it is done to: attributes of the stored row, as `project_id=…`. Not given: something of the token's own
        /// project and user.
        #[arg(long = "target", value_name = "NAME=VALUE")]
        target: Vec<String>,
        #[command(flatten)]
        rules: Rules,
    },
}

#[derive(clap::Args)]
pub(crate) struct Rules {
    /// The configuration that names the services' policy files. Not given: the defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// This policy file instead of the one the configuration names: to try it before it is in force.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct Who {
    /// The body that GET /v3/auth/tokens answers for their token. Instead of the options below.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["role", "project", "domain", "system"])]
    token: Option<PathBuf>,
    /// A role they have. As often as needed; implied ones are not added.
    #[arg(long)]
    role: Vec<String>,
    /// Id of the project their token is for.
    #[arg(long, default_value = "a-project", conflicts_with_all = ["domain", "system"])]
    project: String,
    /// Id of the domain their token is for.
    #[arg(long, conflicts_with = "system")]
    domain: Option<String>,
    /// Their token is for the system.
    #[arg(long)]
    system: bool,
    /// Their own id.
    #[arg(long, default_value = "a-user")]
    user: String,
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::List { service, changed, rules } => rules.print(*service, *changed).map(|()| true),
        Command::Check { service, rule, who, target, rules } => check(*service, rule, who, target, rules),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("skyiron: {e:#}");
            ExitCode::FAILURE
        }
    }
}

impl Service {
    fn defaults(self) -> Result<Enforcer> {
        Ok(match self {
            Self::Identity => identity::default_policy()?,
            Self::Compute => compute_api::default_policy()?,
            Self::Image => image_api::default_policy()?,
            Self::Placement => placement::default_policy()?,
        })
    }

    fn file(self, config: &Config) -> &str {
        match self {
            Self::Identity => &config.identity.policy_file,
            Self::Compute => &config.compute.policy_file,
            Self::Image => &config.image.policy_file,
            // it takes none
            Self::Placement => "",
        }
    }
}

impl Rules {
    /// The defaults, and them with the operator's file over them.
    fn load(&self, service: Service) -> Result<(Enforcer, Enforcer)> {
        let defaults = service.defaults()?;
        let config = match &self.config {
            Some(path) => config::load(path)?,
            None => Config::default(),
        };
        let file = match &self.file {
            Some(_) if service == Service::Placement => bail!("placement's rules cannot be changed"),
            Some(file) => file.clone(),
            None => PathBuf::from(service.file(&config)),
        };
        let mut rules = defaults.clone();
        if !file.as_os_str().is_empty() {
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            rules.override_with(&text).with_context(|| file.display().to_string())?;
        }
        for name in rules.undefined() {
            eprintln!("skyiron: rule {name:?} is referred to, and defined nowhere");
        }
        Ok((defaults, rules))
    }

    fn print(&self, service: Service, only_changed: bool) -> Result<()> {
        let (defaults, rules) = self.load(service)?;
        for name in rules.rule_names() {
            let (text, before) = (rules.text(name).unwrap_or_default(), defaults.text(name));
            if only_changed && before == Some(text) {
                continue;
            }
            for operation in rules.operations(name) {
                println!("# {operation}");
            }
            let scopes: Vec<&str> = rules.scope_types(name).iter().map(|s| s.as_str()).collect();
            if !scopes.is_empty() {
                println!("# scope: {}", scopes.join(", "));
            }
            match before {
                Some(before) if before != text => println!("# default: {before:?}"),
                None => println!("# not a rule of the service"),
                Some(_) => {}
            }
            println!("{name:?}: {text:?}\n");
        }
        Ok(())
    }
}

impl Who {
    fn facts(&self) -> Result<Arc<TokenFacts>> {
        if let Some(path) = &self.token {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let facts = identity::keystone::facts_of(&text);
            return facts.with_context(|| format!("{}: not what GET /v3/auth/tokens answers", path.display()));
        }
        let domain = || DomainId("default".into());
        let scope = match &self.domain {
            Some(id) => Scope::Domain { id: DomainId(id.clone()), name: id.clone() },
            None if self.system => Scope::System,
            None => Scope::Project {
                id: ProjectId(self.project.clone()),
                name: self.project.clone(),
                domain_id: domain(),
                domain_name: "Default".into(),
            },
        };
        Ok(Arc::new(TokenFacts {
            user_id: UserId(self.user.clone()),
            user_name: self.user.clone(),
            user_domain_id: domain(),
            user_domain_name: "Default".into(),
            scope,
            roles: self.role.clone(),
            issued_at: Timestamp::default(),
            expires_at: Timestamp(i64::MAX),
            audit_ids: Vec::new(),
        }))
    }
}

fn check(service: Service, rule: &str, who: &Who, target: &[String], rules: &Rules) -> Result<bool> {
    let (_, rules) = rules.load(service)?;
    let facts = who.facts()?;
    let row = row(&facts, target)?;
    let cx = RequestContext { request_id: RequestId::fresh(), token: Some(facts) };
    let said = |name: &str| if rules.allows(name, &cx, &row) { "allowed" } else { "refused" };
    if rule == "all" {
        // a rule that protects nothing is an alias for others to refer to
        for name in rules.rule_names().filter(|n| !rules.operations(n).is_empty()) {
            println!("{}  {name}", said(name));
        }
        return Ok(true);
    }
    let Some(text) = rules.text(rule) else {
        bail!("there is no rule {rule:?}: see `skyiron policy list`");
    };
    println!("{}  {rule}: {text}", said(rule));
    Ok(rules.allows(rule, &cx, &row))
}

fn row(facts: &TokenFacts, target: &[String]) -> Result<Target> {
    if target.is_empty() {
        let own = Target::new().with("user_id", &facts.user_id);
        return Ok(match facts.project_id() {
            Some(project) => own.with("project_id", project).with("owner", project).with("tenant_id", project),
            None => own,
        });
    }
    target.iter().try_fold(Target::new(), |row, attribute| {
        let (name, value) = attribute.split_once('=').with_context(|| format!("{attribute:?}: NAME=VALUE"))?;
        Ok(row.with(name.to_owned(), value))
    })
}
