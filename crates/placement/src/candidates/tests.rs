//! The quick way and the general way judge alike, and both judge right.

use super::{Found, Group, Request, alone, combine, search};
use crate::world::{Member, World};
use crate::{Inventory, Provider, Stock};
use base::{ProviderId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

const TRAITS: [&str; 3] = ["A", "B", "C"];
const CLASSES: [&str; 3] = ["VCPU", "MEMORY_MB", "DISK_GB"];

fn member(
    id: u128,
    parent: Option<u128>,
    root: u128,
    stocks: Vec<Stock>,
    traits: Vec<usize>,
    pools: Vec<usize>,
) -> Member {
    let uuid = |n: u128| ProviderId(uuid::Uuid::from_u128(n));
    let mut traits: Vec<String> = traits.into_iter().map(|t| TRAITS[t].to_owned()).collect();
    traits.sort();
    traits.dedup();
    let mut aggregates: Vec<String> = pools.into_iter().map(|n| format!("agg{n}")).collect();
    aggregates.sort();
    aggregates.dedup();
    Member {
        provider: Provider {
            id: uuid(id),
            name: format!("p{id}"),
            generation: 0,
            parent: parent.map(uuid),
            root: uuid(root),
            updated_at: Timestamp(0),
        },
        stocks,
        traits: traits.into(),
        aggregates: aggregates.into(),
    }
}

fn any_stocks() -> impl Strategy<Value = Vec<Stock>> {
    let one = (1..10_u64, 0..4_u64, 0..8_u64, 1..3_u64);
    prop::collection::btree_map(0..3_usize, one, 0..4).prop_map(|by_class| {
        let stock = |(class, (total, reserved, used, step_size)): (usize, (u64, u64, u64, u64))| Stock {
            inventory: Inventory { reserved, step_size, ..Inventory::of(CLASSES[class], total) },
            used,
        };
        by_class.into_iter().map(stock).collect()
    })
}

/// Roots with up to two children each.
fn any_world(children: usize) -> impl Strategy<Value = World> {
    let facts = || (any_stocks(), prop::collection::vec(0..3_usize, 0..3), prop::collection::vec(0..2_usize, 0..2));
    let tree = (facts(), prop::collection::vec(facts(), 0..=children));
    prop::collection::vec(tree, 0..6).prop_map(|trees| {
        let mut members = Vec::new();
        for (n, ((stocks, traits, pools), below)) in trees.into_iter().enumerate() {
            let root = 1 + 10 * n as u128;
            members.push(member(root, None, root, stocks, traits, pools));
            for (k, (stocks, traits, pools)) in below.into_iter().enumerate() {
                members.push(member(root + 1 + k as u128, Some(root), root, stocks, traits, pools));
            }
        }
        World::new(members)
    })
}

fn any_group() -> impl Strategy<Value = Group> {
    (
        prop::collection::btree_map(0..3_usize, 1..6_u64, 1..4),
        prop::collection::vec(prop::collection::vec(0..3_usize, 1..3), 0..2),
        prop::option::of(0..3_usize),
        prop::option::of(0..2_usize),
    )
        .prop_map(|(resources, required, forbidden, pool)| Group {
            resources: resources.into_iter().map(|(c, n)| (CLASSES[c].to_owned(), n)).collect(),
            required: required.into_iter().map(|any| any.into_iter().map(|t| TRAITS[t].to_owned()).collect()).collect(),
            forbidden: forbidden.map(|t| TRAITS[t].to_owned()).into_iter().collect(),
            member_of: pool.map(|n| vec![format!("agg{n}")]).into_iter().collect(),
            ..Group::default()
        })
}

fn by_general_way(world: &World, request: &Request) -> Found {
    let mut found = Found::default();
    for (root, _) in world.roots(request.from) {
        combine::judge(world, root, request, usize::MAX, &mut found);
    }
    found
}

fn wanted(found: &Found) -> Vec<Vec<(ProviderId, String, u64)>> {
    let one = |c: &super::Candidate| {
        let mut list: Vec<_> = c.wanted().into_iter().map(|(p, class, n)| (p, class.to_owned(), n)).collect();
        list.sort();
        list
    };
    let mut all: Vec<_> = found.candidates.iter().map(one).collect();
    all.sort();
    all
}

/// Every way to give each class from some provider of the tree, tried one after the other and held against the words of
/// the contract.
fn by_brute_force(world: &World, group: &Group) -> Vec<Vec<(ProviderId, String, u64)>> {
    let mut ways = Vec::new();
    for (_, tree) in world.trees() {
        let root = tree[0];
        let mut partial: Vec<Vec<&Member>> = vec![Vec::new()];
        for (class, n) in &group.resources {
            partial = partial
                .into_iter()
                .flat_map(|chosen| {
                    let able = tree.iter().filter(|m| m.stock(class).is_some_and(|s| s.fits(*n)));
                    able.map(|m| chosen.iter().copied().chain([m.as_ref()]).collect::<Vec<_>>()).collect::<Vec<_>>()
                })
                .collect();
        }
        for chosen in partial {
            let traits = group.required.iter().all(|any| any.iter().any(|t| chosen.iter().any(|m| m.has_trait(t))));
            let forbidden = group.forbidden.iter().any(|t| chosen.iter().any(|m| m.has_trait(t)));
            let near = group
                .member_of
                .iter()
                .all(|any| chosen.iter().all(|m| any.iter().any(|a| m.is_in(a) || root.is_in(a))));
            if traits && !forbidden && near {
                let given = chosen.iter().zip(&group.resources).map(|(m, (class, n))| (m.id(), class.clone(), *n));
                let mut way: Vec<_> = given.collect();
                way.sort();
                ways.push(way);
            }
        }
    }
    ways.sort();
    ways
}

proptest! {
    #[test]
    fn the_quick_way_and_the_general_way_agree_on_single_hosts(world in any_world(0), group in any_group()) {
        let request = Request::of(group);
        prop_assert!(alone::Asked::of(&request).is_some());
        let (quick, general) = (search(&world, &request), by_general_way(&world, &request));
        prop_assert_eq!(wanted(&quick), wanted(&general));
        let refused = |found: &Found| found.refused.iter().map(|(m, _)| m.id()).collect::<Vec<_>>();
        prop_assert_eq!(refused(&quick), refused(&general));
    }

    #[test]
    fn the_general_way_finds_what_trying_everything_finds(world in any_world(2), group in any_group()) {
        let found = search(&world, &Request::of(group.clone()));
        prop_assert_eq!(wanted(&found), by_brute_force(&world, &group));
    }

    /// Each tree that has any of the classes is a candidate or refused, never both.
    #[test]
    fn no_tree_is_forgotten(world in any_world(2), group in any_group()) {
        let found = search(&world, &Request::of(group.clone()));
        let mut judged: BTreeMap<ProviderId, (bool, bool)> = BTreeMap::new();
        for c in &found.candidates {
            judged.entry(c.root.id()).or_default().0 = true;
        }
        for (m, _) in &found.refused {
            judged.entry(m.id()).or_default().1 = true;
        }
        for (root, tree) in world.trees() {
            let has_any = group.resources.iter().any(|(class, _)| tree.iter().any(|m| m.stock(class).is_some()));
            let (chosen, refused) = judged.get(&root).copied().unwrap_or_default();
            prop_assert!(!(chosen && refused));
            prop_assert_eq!(chosen || refused, has_any);
        }
    }
}
