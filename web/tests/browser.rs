//! The parts of the host against the real browser: IndexedDB, WebRTC, Web Locks.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use gloo_timers::future::TimeoutFuture;
use peergraph_core::io::{
    Dial, Input, LinkId, StoreFault, StoreId, StoreReply, StoreTask, Transport,
};
use peergraph_core::limits::{BUFFERED_LOW_BYTES, FRAME_BYTES_MAX};
use peergraph_web::Report;
use peergraph_web::ice::IceServers;
use peergraph_web::lock::{Lock, LockError};
use peergraph_web::rtc::RtcLink;
use peergraph_web::sdp;
use peergraph_web::store::Store;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::*;

wasm_bindgen_test_configure!(run_in_browser);

/// A report, and what it was told.
fn listen() -> (Report, mpsc::UnboundedReceiver<Input>) {
    let (sender, inputs) = mpsc::unbounded();
    (Rc::new(move |input| sender.unbounded_send(input).unwrap()), inputs)
}

fn database() -> String {
    format!("test-{}", js_sys::Math::random())
}

fn entry(key: &str, value: &str) -> (Bytes, Option<Bytes>) {
    (Bytes::copy_from_slice(key.as_bytes()), Some(Bytes::copy_from_slice(value.as_bytes())))
}

fn scan(from: &str, to: &str, limit: usize) -> StoreTask {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    StoreTask::Scan { from: bytes(from), to: bytes(to), limit }
}

async fn stored(
    inputs: &mut mpsc::UnboundedReceiver<Input>,
) -> (StoreId, Result<StoreReply, StoreFault>) {
    match inputs.next().await.unwrap() {
        Input::Stored { op, result } => (op, result),
        other => panic!("{other:?}"),
    }
}

fn keys(reply: Result<StoreReply, StoreFault>) -> Vec<String> {
    match reply.unwrap() {
        StoreReply::Entries(entries) => {
            entries.iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test]
async fn tasks_are_done_and_answered_in_the_order_given() {
    let store = Store::open(&database()).await.unwrap();
    let (report, mut inputs) = listen();
    store.start(report);
    let write = |batch| StoreTask::Write { batch };
    store.run(StoreId(0), write(vec![entry("a", "1"), entry("b", "1")]));
    store.run(StoreId(1), write(vec![entry("a", "2"), (Bytes::from_static(b"b"), None)]));
    store.run(StoreId(2), scan("", "z", 10));
    store.run(StoreId(3), write(vec![entry("c", "3")]));
    store.run(StoreId(4), StoreTask::Read { keys: ["c", "b", "a"].map(Bytes::from).to_vec() });

    let mut replies = Vec::new();
    for op in 0..5 {
        let (done, result) = stored(&mut inputs).await;
        assert_eq!(done, StoreId(op));
        replies.push(result.unwrap());
    }
    let StoreReply::Entries(entries) = &replies[2] else { panic!("{:?}", replies[2]) };
    assert_eq!(*entries, [(Bytes::from("a"), Bytes::from("2"))]);
    let StoreReply::Values(values) = &replies[4] else { panic!("{:?}", replies[4]) };
    assert_eq!(*values, [Some(Bytes::from("3")), None, Some(Bytes::from("2"))]);
    store.close().await;
}

#[wasm_bindgen_test]
async fn scan_takes_from_but_not_to_in_byte_order_up_to_the_limit() {
    let store = Store::open(&database()).await.unwrap();
    let (report, mut inputs) = listen();
    store.start(report);
    let high = (Bytes::from_static(b"\xff\x00"), Some(Bytes::new()));
    let batch = vec![entry("b", ""), entry("a", ""), entry("aa", ""), high, entry("", "")];
    store.run(StoreId(0), StoreTask::Write { batch });
    store.run(StoreId(1), scan("a", "b", 10));
    store.run(StoreId(2), scan("", "zz", 2));
    store.run(StoreId(3), scan("b", "a", 10));
    store.run(StoreId(4), scan("c", "d", 10));
    let all = StoreTask::Scan { from: Bytes::new(), to: vec![0xff; 8].into(), limit: 10 };
    store.run(StoreId(5), all);
    assert!(stored(&mut inputs).await.1.is_ok());
    assert_eq!(keys(stored(&mut inputs).await.1), ["a", "aa"]);
    assert_eq!(keys(stored(&mut inputs).await.1), ["", "a"]);
    assert!(keys(stored(&mut inputs).await.1).is_empty());
    assert!(keys(stored(&mut inputs).await.1).is_empty());
    let StoreReply::Entries(entries) = stored(&mut inputs).await.1.unwrap() else { panic!() };
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[4].0, Bytes::from_static(b"\xff\x00"));
    store.close().await;
}

#[wasm_bindgen_test]
async fn what_was_answered_is_there_after_reopening() {
    let name = database();
    let store = Store::open(&name).await.unwrap();
    let (report, mut inputs) = listen();
    store.start(report);
    store.change_own(&[("identity".to_owned(), Some("me".into()))]).await.unwrap();
    for op in 0..100 {
        let batch = vec![entry(&format!("k{op:03}"), &"x".repeat(1_000))];
        store.run(StoreId(op), StoreTask::Write { batch });
    }
    // Everything given before is done, also where the application closes at once.
    store.close().await;
    for op in 0..100 {
        assert_eq!(stored(&mut inputs).await.0, StoreId(op));
    }

    let store = Store::open(&name).await.unwrap();
    let (report, mut inputs) = listen();
    store.start(report);
    store.run(StoreId(0), scan("k", "l", 1_000));
    assert_eq!(keys(stored(&mut inputs).await.1).len(), 100);
    assert_eq!(store.own("identity").await.unwrap(), "me");
    assert!(store.own("other").await.unwrap().is_undefined());
    store.close().await;
}

/// Two links in one page, and the signals that go between them.
struct Pair {
    a: RtcLink,
    b: RtcLink,
    heard_by_a: mpsc::UnboundedReceiver<Input>,
    heard_by_b: mpsc::UnboundedReceiver<Input>,
}

impl Pair {
    fn new() -> Self {
        let ((report_a, heard_by_a), (report_b, heard_by_b)) = (listen(), listen());
        let servers = IceServers::new(&JsValue::NULL).unwrap();
        let a = RtcLink::open(LinkId(1), Dial::Offer, &servers, report_a).unwrap();
        let b = RtcLink::open(LinkId(2), Dial::Answer, &servers, report_b).unwrap();
        Self { a, b, heard_by_a, heard_by_b }
    }

    /// Carries signals until both are up, and checks that both saw the same certificates.
    async fn connect(&mut self) {
        let (mut up_a, mut up_b) = (None, None);
        while up_a.is_none() || up_b.is_none() {
            futures::select! {
                input = self.heard_by_a.select_next_some() => match input {
                    Input::Signal { link: LinkId(1), signal } => self.b.signal(&signal),
                    Input::LinkUp { link: LinkId(1), transport } => up_a = Some(transport),
                    other => panic!("{other:?}"),
                },
                input = self.heard_by_b.select_next_some() => match input {
                    Input::Signal { link: LinkId(2), signal } => self.a.signal(&signal),
                    Input::LinkUp { link: LinkId(2), transport } => up_b = Some(transport),
                    other => panic!("{other:?}"),
                },
            }
        }
        let (
            Some(Transport::Rtc { ours: a, theirs: of_a }),
            Some(Transport::Rtc { ours: b, theirs: of_b }),
        ) = (up_a, up_b)
        else {
            panic!("{up_a:?} {up_b:?}")
        };
        assert_eq!((a, of_a), (of_b, b));
        assert_ne!(a, b);
    }
}

async fn next_frame(inputs: &mut mpsc::UnboundedReceiver<Input>) -> Bytes {
    loop {
        match inputs.next().await.unwrap() {
            Input::Frame { bytes, .. } => return bytes,
            Input::Signal { .. } | Input::Buffered { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[wasm_bindgen_test]
async fn offer_and_answer_make_a_link_that_carries_frames_in_order() {
    let mut pair = Pair::new();
    pair.connect().await;
    for number in 0..200_u32 {
        let mut frame = vec![7; if number % 2 == 0 { FRAME_BYTES_MAX } else { 4 }];
        frame[..4].copy_from_slice(&number.to_be_bytes());
        pair.a.send(&frame).unwrap();
    }
    // 1.6 MB were put in at once, so that it must tell when they are nearly gone.
    assert!(pair.a.buffered() > BUFFERED_LOW_BYTES);
    for number in 0..200_u32 {
        let frame = next_frame(&mut pair.heard_by_b).await;
        assert_eq!(frame[..4], number.to_be_bytes());
        assert_eq!(frame.len(), if number % 2 == 0 { FRAME_BYTES_MAX } else { 4 });
    }
    let low = loop {
        match pair.heard_by_a.next().await.unwrap() {
            Input::Buffered { link, bytes } => break (link, bytes),
            Input::Signal { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(low.0, LinkId(1));
    assert!(low.1 <= BUFFERED_LOW_BYTES);
}

#[wasm_bindgen_test]
async fn closed_link_delivers_what_was_sent_and_only_the_other_end_hears_of_it() {
    let mut pair = Pair::new();
    pair.connect().await;
    for _ in 0..20 {
        pair.a.send(&[1; FRAME_BYTES_MAX]).unwrap();
    }
    pair.a.close();
    for _ in 0..20 {
        assert_eq!(next_frame(&mut pair.heard_by_b).await.len(), FRAME_BYTES_MAX);
    }
    loop {
        match pair.heard_by_b.next().await.unwrap() {
            Input::LinkDown { link: LinkId(2) } => break,
            Input::Signal { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    while let Ok(input) = pair.heard_by_a.try_recv() {
        assert!(!matches!(input, Input::LinkDown { .. }), "{input:?}");
    }
}

#[wasm_bindgen_test]
async fn garbage_as_a_signal_costs_the_link() {
    let garbage = [
        "",
        "nonsense",
        "{}",
        "[]",
        "null",
        r#"{"type":"answer","sdp":"v=0"}"#,
        r#"{"type":"offer"}"#,
        r#"{"type":"offer","sdp":"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"}"#,
    ];
    for signal in garbage {
        let (report, mut inputs) = listen();
        let servers = IceServers::new(&JsValue::NULL).unwrap();
        let link = RtcLink::open(LinkId(9), Dial::Answer, &servers, report).unwrap();
        link.signal(signal.as_bytes());
        let input = inputs.next().await.unwrap();
        assert!(matches!(input, Input::LinkDown { link: LinkId(9) }), "{signal}: {input:?}");
    }
}

#[wasm_bindgen_test]
async fn unknown_candidates_and_overlong_signals_cost_nothing() {
    let mut pair = Pair::new();
    pair.b.signal(br#"{"candidate":"nonsense","sdpMid":"0","sdpMLineIndex":0}"#);
    pair.b.signal(&vec![b'x'; 100_000]);
    pair.b.signal(&[0xff, 0xfe]);
    pair.connect().await;
}

/// The answer that we write for a dial is one that this browser accepts.
#[wasm_bindgen_test]
async fn browser_accepts_the_answer_that_we_write() {
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{RtcPeerConnection, RtcSdpType, RtcSessionDescriptionInit};
    let connection = RtcPeerConnection::new().unwrap();
    let _channel = connection.create_data_channel("peergraph");
    let offer = JsFuture::from(connection.create_offer()).await.unwrap();
    let offer: RtcSessionDescriptionInit = offer.unchecked_into();
    JsFuture::from(connection.set_local_description(&offer)).await.unwrap();
    let offer = connection.local_description().unwrap().sdp();
    let ours = sdp::fingerprint(&offer).unwrap();
    let socket = "[::1]:4000".parse().unwrap();
    let answer = sdp::direct_answer(&offer, socket, &ours, [5; sdp::RANDOM_BYTES]).unwrap();
    let description = RtcSessionDescriptionInit::new(RtcSdpType::Answer);
    description.set_sdp(&answer);
    JsFuture::from(connection.set_remote_description(&description)).await.unwrap();
    connection.close();
}

#[wasm_bindgen_test]
async fn second_holder_is_refused_and_can_take_over() {
    let name = database();
    let lost = Rc::new(Cell::new(false));
    let told = lost.clone();
    let first = Lock::take(&name, false, move || told.set(true)).await.unwrap();
    let refused = Lock::take(&name, false, || {}).await;
    assert!(matches!(refused, Err(LockError::Held)));
    assert!(!lost.get());

    // The first holder is told, and lets go once it has closed.
    let first = Rc::new(Cell::new(Some(first)));
    let (holder, seen) = (first.clone(), lost.clone());
    wasm_bindgen_futures::spawn_local(async move {
        while !seen.get() {
            TimeoutFuture::new(5).await;
        }
        holder.take();
    });
    let begun = js_sys::Date::now();
    let second = Lock::take(&name, true, || panic!("nobody takes it over")).await.unwrap();
    assert!(lost.get());
    assert!(js_sys::Date::now() - begun < 2_000.0, "it waited for a holder that had let go");
    drop(second);
    TimeoutFuture::new(50).await;
    drop(Lock::take(&name, false, || {}).await.unwrap());
}

#[wasm_bindgen_test]
async fn holder_that_does_not_answer_is_overruled() {
    let name = database();
    let _frozen = Lock::take(&name, false, || {}).await.unwrap();
    drop(Lock::take(&name, true, || {}).await.unwrap());
}

#[wasm_bindgen_test]
async fn rehearsal_ends_as_a_join_does() {
    assert!(
        peergraph_web::rehearsal::rehearse().await,
        "two nodes meet in memory, and each shows two records"
    );
}
