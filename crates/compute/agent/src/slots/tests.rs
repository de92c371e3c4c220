use super::*;
use base::Timestamp;
use compute_model::spec::{FlavorSpec, InstanceSpec};

fn assignment(id: InstanceId, generation: u64, want: Want) -> Assignment {
    let flavor = FlavorSpec {
        flavor_id: "1".into(),
        name: "f".into(),
        vcpus: 1,
        ram: base::Mib(1),
        root_disk: base::Gib(0),
        ephemeral_disk: base::Gib(0),
        swap: base::Mib(0),
        extra_specs: Default::default(),
    };
    let spec = InstanceSpec {
        id,
        project_id: "p".into(),
        user_id: "u".into(),
        name: "n".into(),
        hostname: "n".into(),
        flavor,
        image: None,
        keypair: None,
        user_data: None,
        metadata: Default::default(),
        files: vec![],
        config_drive: false,
        admin_pass: None,
        availability_zone: None,
        launch_index: 0,
        reservation_id: "r".into(),
        trusted_certificates: Vec::new(),
        created_at: Timestamp(0),
    };
    Assignment { host: "h".into(), instance: id, generation, want, spec, deadline: Timestamp(0), evacuated: false }
}

fn done(power: PowerState) -> Outcome {
    Outcome::Done { power }
}

fn task(slots: &Slots, key: Key) -> Task {
    match slots.next(key) {
        Some(Job::Do(task)) => task,
        other => panic!("{}", if other.is_none() { "nothing to do" } else { "only a look" }),
    }
}

#[test]
fn one_worker_and_the_newest_generation() {
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    assert_eq!(slots.offer(0, assignment(id, 5, Want::Spawn)), Offered::Start);
    let first = task(&slots, key);
    assert_eq!(slots.offer(0, assignment(id, 5, Want::Spawn)), Offered::Nothing, "known");
    assert_eq!(slots.offer(0, assignment(id, 4, Want::Destroy)), Offered::Nothing, "older");
    assert!(!first.newer.is_cancelled() && !first.removal.is_cancelled());
    assert_eq!(slots.offer(0, assignment(id, 6, Want::Start)), Offered::Nothing, "its worker will see it");
    assert!(first.newer.is_cancelled() && !first.removal.is_cancelled());
    let second = task(&slots, key);
    assert_eq!(second.assignment.generation, 6);
    slots.settle(key, 6, &done(PowerState::Running));
    assert!(slots.next(key).is_none());
    assert_eq!(slots.offer(0, assignment(id, 6, Want::Start)), Offered::Nothing, "done");
    assert_eq!(slots.offer(0, assignment(id, 7, Want::Pause)), Offered::Start);
}

#[test]
fn a_removal_interrupts() {
    let slots = Slots::default();
    let id = InstanceId::random();
    assert_eq!(slots.offer(0, assignment(id, 1, Want::Spawn)), Offered::Start);
    let spawn = task(&slots, (0, id));
    assert_eq!(slots.offer(0, assignment(id, 2, Want::Destroy)), Offered::Nothing);
    assert!(spawn.removal.is_cancelled());
    assert!(!task(&slots, (0, id)).removal.is_cancelled(), "it does not interrupt itself");
}

/// An answer that was under way while the removal was reported must not bring the slot back as new.
#[test]
fn a_slot_is_forgotten_only_by_a_fetch_sent_after_its_end() {
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    assert_eq!(slots.offer(0, assignment(id, 1, Want::Destroy)), Offered::Start);
    task(&slots, key);
    let before = slots.fetching();
    slots.settle(key, 1, &done(PowerState::NoState));
    assert!(slots.next(key).is_none());
    assert_eq!(slots.offer(0, assignment(id, 1, Want::Destroy)), Offered::Nothing);
    slots.fetched(before);
    assert!(slots.knows(key));
    let after = slots.fetching();
    slots.fetched(after);
    assert!(!slots.knows(key));
}

#[test]
fn a_slot_with_newer_work_is_not_forgotten() {
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    assert_eq!(slots.offer(0, assignment(id, 1, Want::Spawn)), Offered::Start);
    task(&slots, key);
    let failed = Outcome::Failed {
        message: String::new(),
        worth_retrying_elsewhere: true,
        power: PowerState::NoState,
        looked: true,
    };
    slots.settle(key, 1, &failed);
    assert!(slots.next(key).is_none());
    assert_eq!(slots.offer(0, assignment(id, 2, Want::Spawn)), Offered::Start);
    let number = slots.fetching();
    slots.fetched(number);
    assert_eq!(task(&slots, key).assignment.generation, 2);
}

#[test]
fn looks_wait_for_the_work_in_hand() {
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    assert!(slots.look(key).is_none(), "no such guest");
    assert_eq!(slots.offer(0, assignment(id, 1, Want::Spawn)), Offered::Start);
    task(&slots, key);
    assert_eq!(slots.look(key), Some(Offered::Nothing));
    slots.settle(key, 1, &done(PowerState::Running));
    assert!(matches!(slots.next(key), Some(Job::Look { told: Some(PowerState::Running), .. })));
    slots.tell(key, PowerState::Shutdown);
    assert!(slots.next(key).is_none());
    assert_eq!(slots.told(), [(key, Some(PowerState::Shutdown))]);
    assert_eq!(slots.look(key), Some(Offered::Start));
}

#[test]
fn a_generation_without_work_is_taken_over() {
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    slots.settled(0, assignment(id, 3, Want::Start), PowerState::Running);
    let after = |slots: &Slots| {
        slots.look(key);
        let Some(Job::Look { after, .. }) = slots.next(key) else { panic!("there is something to look at") };
        assert!(slots.next(key).is_none());
        after
    };
    let before = after(&slots);
    slots.stands(key, before + 4);
    assert_eq!(after(&slots), before + 4);
    slots.stands(key, before);
    assert_eq!(after(&slots), before + 4, "never back");
}

/// The database has gone back to before what is being done.
#[test]
fn what_nobody_waits_for_any_more_is_looked_at_when_it_has_ended() {
    const LEAP: u64 = 1 << 32;
    let slots = Slots::default();
    let id = InstanceId::random();
    let key = (0, id);
    slots.settled(0, assignment(id, 1, Want::Spawn), PowerState::Running);
    assert_eq!(slots.offer(0, assignment(id, 2, Want::Destroy)), Offered::Start);
    let removal = task(&slots, key);
    slots.settled_anew(0, assignment(id, LEAP + 1, Want::Spawn), PowerState::Running);
    assert!(removal.newer.is_cancelled() && !removal.removal.is_cancelled());
    slots.settle(key, 2, &done(PowerState::NoState));
    let Some(Job::Look { told, after, .. }) = slots.next(key) else { panic!("nothing is done again") };
    assert_eq!((told, after), (Some(PowerState::Running), LEAP + 1));
    assert!(slots.next(key).is_none());
    let number = slots.fetching();
    slots.fetched(number);
    assert!(slots.knows(key));
    // what was begun since the leap is waited for
    assert_eq!(slots.offer(0, assignment(id, LEAP + 2, Want::Start)), Offered::Start);
    let start = task(&slots, key);
    slots.settled_anew(0, assignment(id, LEAP + 2, Want::Start), PowerState::Running);
    assert!(!start.newer.is_cancelled());
}
