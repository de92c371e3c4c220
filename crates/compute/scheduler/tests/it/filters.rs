//! Each filter, what passes it and what does not.

use crate::support::*;
use base::HostName;
use compute_scheduler::{Config, Group, GroupPolicy, HostState, Request, ServiceState, pick};
use serde_json::json;

#[test]
fn compute_filter_tells_disabled_from_down() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let hosts = [
        with(host("up"), |_| {}),
        with(host("off"), |h| h.service = ServiceState::Disabled(Some("new disks".into()))),
        with(host("gone"), |h| h.service = ServiceState::Down),
    ];
    let picked = pick(&request, &hosts, Default::default(), &Config::default(), &mut rand::rng());
    assert_eq!(picked.choices, [0]);
    assert_eq!(picked.reasons.for_tenants(), "No valid host was found. 2 hosts: 1 is disabled, 1 is down");
}

#[test]
fn availability_zone_is_always_kept_to() {
    let (project, flavor) = (project(), flavor(&[]));
    let hosts = [in_aggregate(host("a"), &[("availability_zone", "az1")]), host("b")];
    for (zone, expected) in [(Some("az1"), vec!["a"]), (Some("nova"), vec!["b"]), (None, vec!["a", "b"])] {
        let request = Request { availability_zone: zone, ..Request::new(&project, &flavor, None) };
        assert_eq!(chosen(&request, &hosts, &config(&[])), expected, "{zone:?}");
    }
}

#[test]
fn compute_capabilities() {
    let project = project();
    let h = host("a");
    for (key, value, expected) in [
        ("capabilities:hypervisor_type", "QEMU", true),
        ("capabilities:hypervisor_type", "s== fake", false),
        ("capabilities:cpu_info:features", "<in> aes", true),
        ("capabilities:cpu_info:features", "<all-in> aes vmx", false),
        ("capabilities:cpu_info:topology:cores", ">= 4", true),
        ("capabilities:cpu_info:topology:dies", ">= 1", false),
        ("capabilities:free_ram_mb", ">= 99999", false),
        ("capabilities:no_such_thing", "x", false),
        ("free_ram_mb", ">= 99999", false),
        ("no_such_thing", "x", true),
        ("hw:cpu_policy", "dedicated", true),
        ("hw:maxphysaddr_bits", "46", false),
    ] {
        let flavor = flavor(&[(key, value)]);
        let request = Request::new(&project, &flavor, None);
        assert_eq!(passes("ComputeCapabilitiesFilter", &request, &h), expected, "{key} {value}");
    }
}

#[test]
fn image_properties() {
    let (project, flavor) = (project(), flavor(&[]));
    let h = host("a");
    let silent = with(host("b"), |h| h.supported_instances.clear());
    for (properties, expected) in [
        (&[][..], true),
        (&[("hw_architecture", "x86_64")], true),
        (&[("hw_architecture", "amd64")], true),
        (&[("hw_architecture", "i386")], true),
        (&[("hw_architecture", "aarch64")], false),
        (&[("img_hv_type", "kvm")], true),
        (&[("img_hv_type", "xen")], false),
        (&[("hw_vm_mode", "hvm"), ("img_hv_type", "qemu")], true),
        (&[("hw_vm_mode", "exe")], false),
        (&[("img_hv_type", "qemu"), ("img_hv_requested_version", ">=7.0,<8")], true),
        (&[("img_hv_type", "qemu"), ("img_hv_requested_version", ">=8")], false),
    ] {
        let image = image(properties);
        let request = Request::new(&project, &flavor, Some(&image));
        assert_eq!(passes("ImagePropertiesFilter", &request, &h), expected, "{properties:?}");
        let rebuild = Request { rebuild: true, ..request.clone() };
        assert_eq!(passes("ImagePropertiesFilter", &rebuild, &h), expected, "rebuild {properties:?}");
        assert_eq!(passes("ImagePropertiesFilter", &request, &silent), properties.is_empty(), "{properties:?}");
    }
}

#[test]
fn server_groups() {
    let (project, flavor) = (project(), flavor(&[]));
    let hosts = [host("a"), host("b"), host("c")];
    let with_group = |policy, max, members: &[(&str, u32)]| Request {
        group: Some(Group {
            policy,
            max_server_per_host: max,
            members: members.iter().map(|(h, n)| (HostName::from(*h), *n)).collect(),
        }),
        ..Request::new(&project, &flavor, None)
    };
    let both = config(&["ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"]);
    let anti = |max| with_group(GroupPolicy::AntiAffinity, max, &[("a", 1), ("b", 2)]);
    assert_eq!(chosen(&anti(1), &hosts, &both), ["c"]);
    assert_eq!(chosen(&anti(2), &hosts, &both), ["a", "c"]);
    let here = HostName::from("b");
    let staying = Request { current_host: Some(&here), ..anti(1) };
    assert_eq!(chosen(&staying, &hosts, &both), ["b", "c"]);
    assert_eq!(chosen(&with_group(GroupPolicy::Affinity, 1, &[("b", 1)]), &hosts, &both), ["b"]);
    assert_eq!(chosen(&with_group(GroupPolicy::Affinity, 1, &[]), &hosts, &both), ["a", "b", "c"]);
    let soft = with_group(GroupPolicy::SoftAffinity, 1, &[("c", 2), ("b", 1)]);
    assert_eq!(chosen(&soft, &hosts, &both), ["c", "b", "a"]);
    let soft = with_group(GroupPolicy::SoftAntiAffinity, 1, &[("a", 2), ("b", 1)]);
    assert_eq!(chosen(&soft, &hosts, &both), ["c", "b", "a"]);
}

#[test]
fn hints_about_other_servers_and_addresses() {
    let (project, flavor) = (project(), flavor(&[]));
    let a = host("a");
    let ask = |change: fn(&mut compute_scheduler::Hints)| {
        let mut request = Request::new(&project, &flavor, None);
        change(&mut request.hints);
        request
    };
    assert!(!passes("DifferentHostFilter", &ask(|h| h.different_host = vec!["a".into()]), &a));
    assert!(passes("DifferentHostFilter", &ask(|h| h.different_host = vec!["b".into()]), &a));
    assert!(passes("SameHostFilter", &ask(|h| h.same_host = Some(vec!["a".into()])), &a));
    assert!(!passes("SameHostFilter", &ask(|h| h.same_host = Some(vec![])), &a));
    assert!(passes("SameHostFilter", &ask(|_| {}), &a));
    assert!(passes("SimpleCIDRAffinityFilter", &ask(|h| h.build_near_host_ip = Some("192.0.2.200".into())), &a));
    assert!(!passes("SimpleCIDRAffinityFilter", &ask(|h| h.build_near_host_ip = Some("192.0.3.200".into())), &a));
}

#[test]
fn json_queries() {
    let (project, flavor) = (project(), flavor(&[]));
    let a = host("a");
    for (query, expected) in [
        (json!([">=", "$free_ram_mb", 1024]), true),
        (json!(["and", [">=", "$free_ram_mb", 1024], [">=", "$free_disk_mb", 600 * 1024]]), false),
        (json!(["or", ["=", "$hypervisor_hostname", "x"], ["<", "$vcpus_used", 1]]), true),
        (json!(["in", "$host", "b", "a"]), true),
        (json!(["not", ["=", "$host", "a"]]), false),
        (json!(["not", ["=", "$host", "b"]]), true),
        (json!(["=", "$cpu_info.vendor", "Intel"]), true),
        (json!(["=", "$cpu_info.nothing", "Intel"]), false),
        (json!(["<=", "$host", 5]), false),
        (json!(["whatever", 1]), false),
        (json!([]), true),
        (json!([3]), false),
    ] {
        let mut request = Request::new(&project, &flavor, None);
        request.hints.query = Some(query.clone());
        assert_eq!(passes("JsonFilter", &request, &a), expected, "{query}");
    }
}

#[test]
fn aggregates_keep_to_flavors_images_and_projects() {
    let project = project();
    let plain = flavor(&[]);
    let request = Request::new(&project, &plain, None);
    let inside = |metadata: &[(&str, &str)]| in_aggregate(host("a"), metadata);

    assert!(passes("AggregateMultiTenancyIsolation", &request, &host("a")));
    assert!(passes("AggregateMultiTenancyIsolation", &request, &inside(&[("filter_tenant_id", "p0, p1")])));
    assert!(passes("AggregateMultiTenancyIsolation", &request, &inside(&[("filter_tenant_id3", "p1")])));
    assert!(!passes("AggregateMultiTenancyIsolation", &request, &inside(&[("filter_tenant_id", "p0")])));

    assert!(passes("AggregateTypeAffinityFilter", &request, &host("a")));
    assert!(passes("AggregateTypeAffinityFilter", &request, &inside(&[("instance_type", "x, m1.small")])));
    assert!(!passes("AggregateTypeAffinityFilter", &request, &inside(&[("instance_type", "x")])));

    for (key, value, expected) in [
        ("ssd", "true", true),
        ("aggregate_instance_extra_specs:ssd", "true", true),
        ("aggregate_instance_extra_specs:ssd", "false", false),
        ("aggregate_instance_extra_specs:gpu", "true", false),
        ("aggregate_instance_extra_specs:racks", ">= 3", true),
        ("hw:cpu_policy", "shared", true),
    ] {
        let flavor = flavor(&[(key, value)]);
        let request = Request::new(&project, &flavor, None);
        let h = inside(&[("ssd", "true,maybe"), ("racks", "4")]);
        assert_eq!(passes("AggregateInstanceExtraSpecsFilter", &request, &h), expected, "{key} {value}");
    }

    for (properties, expected) in
        [(&[("os_distro", "debian")][..], true), (&[("os_distro", "windows")], false), (&[], true)]
    {
        let image = image(properties);
        let request = Request::new(&project, &plain, Some(&image));
        let h = inside(&[("os_distro", "debian,alpine")]);
        assert_eq!(passes("AggregateImagePropertiesIsolation", &request, &h), expected, "{properties:?}");
    }
}

#[test]
fn busy_hosts() {
    let (project, flavor) = (project(), flavor(&[]));
    let request = Request::new(&project, &flavor, None);
    let busy = |instances, io_ops| HostState { num_instances: instances, num_io_ops: io_ops, ..host("a") };
    assert!(passes("NumInstancesFilter", &request, &busy(49, 0)));
    assert!(!passes("NumInstancesFilter", &request, &busy(50, 0)));
    assert!(passes("IoOpsFilter", &request, &busy(0, 7)));
    assert!(!passes("IoOpsFilter", &request, &busy(0, 8)));
    let limited = in_aggregate(busy(5, 5), &[("max_instances_per_host", "5"), ("max_io_ops_per_host", "6")]);
    let limited = in_aggregate(limited, &[("max_io_ops_per_host", "9")]);
    assert!(!passes("AggregateNumInstancesFilter", &request, &limited));
    assert!(passes("AggregateIoOpsFilter", &request, &limited));
    assert!(passes(
        "AggregateNumInstancesFilter",
        &request,
        &in_aggregate(busy(5, 5), &[("max_instances_per_host", "few")])
    ));
}

#[test]
fn isolated_hosts_take_isolated_images() {
    let (project, flavor) = (project(), flavor(&[]));
    let (isolated, plain) = (image(&[]), image(&[]));
    let hosts = [host("alone"), host("free")];
    let base = Config {
        isolated_hosts: vec!["alone".into()],
        isolated_images: vec![isolated.id],
        ..config(&["IsolatedHostsFilter"])
    };
    let open = Config { restrict_isolated_hosts_to_isolated_images: false, ..base.clone() };
    for (image, config, expected) in [
        (&isolated, &base, vec!["alone"]),
        (&plain, &base, vec!["free"]),
        (&isolated, &open, vec!["alone"]),
        (&plain, &open, vec!["alone", "free"]),
    ] {
        let request = Request::new(&project, &flavor, Some(image));
        assert_eq!(chosen(&request, &hosts, config), expected);
    }
}

#[test]
fn a_slip_in_the_configuration_is_found_and_named() {
    let config = Config { enabled_filters: vec!["ComputFilter".into()], ..Config::default() };
    let told = config.check().unwrap_err().to_string();
    assert!(told.contains("\"ComputFilter\"") && told.contains("ComputeFilter, "), "{told}");
}
