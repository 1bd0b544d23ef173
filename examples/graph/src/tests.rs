use super::*;

fn run(graph: &mut Graph, seconds: u32) {
    // In slices, as a page does.
    for _ in 0..seconds * 10 {
        graph.run(100_000);
    }
    graph.look();
}

fn grown(seed: u32, nodes: u32) -> Graph {
    let mut graph = Graph::new(seed);
    for _ in 1..nodes {
        assert!(graph.add(0).is_some());
    }
    run(&mut graph, 60);
    let counts = graph.counts();
    assert_eq!((counts.members, counts.joining, counts.parts), (nodes, 0, 1), "{counts:?}");
    graph
}

#[test]
fn a_cut_makes_two_parts_and_newcomers_and_records_stay_on_their_side() {
    let mut graph = grown(1, 24);
    let sides: Vec<u8> = (0..24).map(|host| u8::from(host >= 12)).collect();
    graph.cut(&sides);
    run(&mut graph, 60);
    let counts = graph.counts();
    assert_eq!(counts.parts, 2, "{counts:?}");
    assert!(graph.links.keys().all(|&(a, b)| (a < 12) == (b < 12)));

    let newcomer = graph.add(1).expect("half of the group can invite");
    run(&mut graph, 20);
    assert_eq!(graph.components()[newcomer as usize], 12);
    assert!(graph.publish(newcomer));
    run(&mut graph, 20);
    assert_eq!(graph.counts().reached, 13, "the other side has no way to have it");
    graph.heal();
    assert_eq!(graph.sides, vec![0; 25]);
}

#[test]
fn records_pass_along_links_and_reach_all_members() {
    let mut graph = grown(2, 12);
    graph.take_passages();
    assert!(graph.publish(3));
    assert!(!graph.publish(99), "nobody is there");
    run(&mut graph, 5);
    assert_eq!(graph.counts().reached, 12);
    let passages = graph.take_passages();
    assert!(passages.len() >= 11 * 5 && passages.len().is_multiple_of(5), "{}", passages.len());
    for passage in passages.chunks(5) {
        let (a, b) = (passage[1] as HostId, passage[2] as HostId);
        assert!(graph.links.contains_key(&(a.min(b), a.max(b))), "{passage:?}");
        assert!(passage[3] < passage[4]);
    }
    graph.publish_every(500_000);
    run(&mut graph, 10);
    assert_eq!(graph.counts().records, 21);
}

#[test]
fn the_dead_are_gone_and_the_founder_can_be_spared() {
    let mut graph = grown(3, 12);
    graph.kill(0);
    graph.kill(5);
    graph.kill(99);
    run(&mut graph, 120);
    let counts = graph.counts();
    assert_eq!((counts.members, counts.parts), (10, 1), "{counts:?}");
    assert_eq!(graph.components()[5], -2);
    assert!(!graph.publish(5));
    assert!(graph.add(0).is_some(), "any member may invite");
    run(&mut graph, 20);
    assert_eq!(graph.counts().members, 11);
}

#[test]
fn components_are_named_by_their_lowest_member() {
    let links = BTreeMap::from([((1, 4), 0), ((3, 4), 0), ((2, 5), 0)]);
    let found = components(7, &[1, 2, 3, 4, 5, 6], &links);
    assert_eq!(found, [None, Some(1), Some(2), Some(1), Some(1), Some(2), Some(6)]);
}
