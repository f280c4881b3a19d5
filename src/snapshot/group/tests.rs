//! Which member is picked.

use std::collections::BTreeMap;

use super::*;
use crate::limit::{Counter, Holder};
use crate::snapshot::{Outcome, Patience};

const PATIENCE: Patience = Patience { fails: 0, cooldown: 5_000 };

fn member(order: u32, weight: f64) -> Member {
    Member {
        target: Target::parse("http://127.0.0.1:9", &|_| false).expect("target"),
        headers: HeaderPlan::new(false),
        silence: Duration::from_secs(1),
        retry_non_idempotent: false,
        reach: Reach::Private,
        tls: None,
        weight,
        order,
        quota: None,
        health: Arc::default(),
        deployment: None,
    }
}

fn group(members: Vec<Member>) -> Group {
    let mut members = members.into_iter();
    Group::new(members.next().expect("one"), members.collect())
}

fn shares(group: &Group, tried: &Tried, now: u64) -> BTreeMap<usize, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..10_000 {
        *shares.entry(group.pick(tried, now).expect("a member").number).or_default() += 1;
    }
    shares
}

#[test]
fn by_weight_within_the_lowest_order() {
    let group = group(vec![member(1, 1.0), member(1, 3.0), member(2, 100.0)]);
    let picked = shares(&group, &Tried::new(), 0);
    assert_eq!(picked.keys().copied().collect::<Vec<_>>(), [0, 1]);
    assert!((2_200..2_800).contains(&picked[&0]), "{picked:?}");
}

#[test]
fn weights_of_nothing_come_last_but_come() {
    let one = group(vec![member(1, 0.0), member(1, 1.0)]);
    assert_eq!(shares(&one, &Tried::new(), 0).into_keys().collect::<Vec<_>>(), [1]);
    let tried: Tried = [1].into_iter().collect();
    assert_eq!(shares(&one, &tried, 0).into_keys().collect::<Vec<_>>(), [0]);
}

#[test]
fn who_rests_is_passed_over_until_nobody_is_left() {
    let group = group(vec![member(1, 1.0), member(1, 1.0), member(2, 1.0)]);
    group.member(0).health.note(Outcome::Failed, PATIENCE, 0);
    assert_eq!(shares(&group, &Tried::new(), 10).into_keys().collect::<Vec<_>>(), [1]);
    group.member(1).health.note(Outcome::Limited(Some(60_000)), PATIENCE, 0);
    assert_eq!(shares(&group, &Tried::new(), 10).into_keys().collect::<Vec<_>>(), [2]);
    group.member(2).health.note(Outcome::Refused, PATIENCE, 0);
    // All rest: the one whose rest ends first.
    assert_eq!(shares(&group, &Tried::new(), 10).into_keys().collect::<Vec<_>>(), [0]);
    assert_eq!(shares(&group, &[0].into_iter().collect(), 10).into_keys().collect::<Vec<_>>(), [1]);
    // And back again.
    assert_eq!(shares(&group, &Tried::new(), 5_000).into_keys().collect::<Vec<_>>(), [0]);
}

#[test]
fn the_only_member_never_rests() {
    let group = group(vec![member(1, 1.0)]);
    group.member(0).health.note(Outcome::Failed, PATIENCE, 0);
    assert_eq!(group.pick(&Tried::new(), 1).map(|picked| picked.number).ok(), Some(0));
    assert_eq!(group.pick(&[0].into_iter().collect(), 1).err(), Some(NoMember::Tried));
}

#[test]
fn who_is_full_is_passed_over_and_told_of_when_all_are() {
    let mut members = vec![member(1, 1.0), member(1, 1.0)];
    for (member, most) in members.iter_mut().zip([1, 2]) {
        let counter = Arc::new(Counter::default());
        member.quota = Some(Claim { holder: Holder::Deployment, counter, requests: Some(most), parallel: None });
    }
    let group = group(members);
    let picked: Vec<usize> = (0..3).map(|_| group.pick(&Tried::new(), 1_000).expect("room").number).collect();
    assert_eq!(picked.iter().filter(|number| **number == 1).count(), 2, "{picked:?}");
    let Err(NoMember::Full(exceeded)) = group.pick(&Tried::new(), 1_000) else { panic!("room for a fourth") };
    assert_eq!(exceeded.holder, Holder::Deployment);
    assert!(group.pick(&Tried::new(), 62_000).is_ok());
}
