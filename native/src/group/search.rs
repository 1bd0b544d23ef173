//! Finding records, and following what a query finds.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::unfold;
use peergraph_core::error::Error;
use peergraph_core::id::GroupId;
use peergraph_core::io::{self, Changes, Command, Found, GroupCommand, QueryId, Reply};
use peergraph_core::search::{Order, Query, QueryError, SearchCursor};
use tokio::sync::OwnedSemaphorePermit;

use super::Group;
use crate::requests::{CommandError, Requests, WRONG_REPLY};
use crate::secret;

/// A possible query: a [`Query`], or text in the notation that people type, see [`Query::parse`].
pub trait IntoQuery {
    /// The query.
    ///
    /// # Errors
    /// [`QueryError`]: where the text is no query, and why.
    fn into_query(self) -> Result<Query, QueryError>;
}

impl IntoQuery for Query {
    fn into_query(self) -> Result<Query, QueryError> {
        Ok(self)
    }
}
impl IntoQuery for &str {
    fn into_query(self) -> Result<Query, QueryError> {
        Query::parse(self)
    }
}
impl IntoQuery for String {
    fn into_query(self) -> Result<Query, QueryError> {
        Query::parse(&self)
    }
}

impl Group {
    /// Begins to search the records that are stored here:
    /// `group.search("type:chat.message lisbon").limit(20).await?`. The first search of a group makes its index, which reads
    /// all records once; after that one takes milliseconds, however many there are.
    pub fn search(&self, query: impl IntoQuery) -> Search {
        Search {
            group: self.clone(),
            query: query.into_query(),
            order: Order::Newest,
            after: None,
            limit: 0,
            count: false,
        }
    }

    /// Follows a query: tells the newest 1,000 records that it finds, and then what is added, changed and removed, in order.
    /// In another order, or with fewer: `group.search("type:task").order(Order::Oldest).limit(50).follow()`.
    pub fn query(&self, query: impl IntoQuery) -> LiveQuery {
        self.search(query).follow()
    }
}

/// A search on its way; `.await` gets its first page, [`pages`](Self::pages) one after the other, and
/// [`follow`](Self::follow) goes on for ever.
#[derive(Clone, Debug)]
#[must_use = "nothing is searched before it is awaited"]
pub struct Search {
    group: Group,
    query: Result<Query, QueryError>,
    order: Order,
    after: Option<SearchCursor>,
    limit: usize,
    count: bool,
}

impl Search {
    /// In which order records are found; if nothing is said, the newest first.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// At most so many records: of a page, or of the list that is followed. At most, and if nothing is said, 1,000.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Only records after this place, see [`Found::next`].
    pub fn after(mut self, after: SearchCursor) -> Self {
        self.after = Some(after);
        self
    }

    /// Counts all records that are found, see [`Found::count`]. It takes longer than the first page.
    pub fn count(mut self) -> Self {
        self.count = true;
        self
    }

    /// The pages, one after the other. Ends after the last one, or after an error.
    pub fn pages(self) -> impl Stream<Item = Result<Found, CommandError>> + Send {
        unfold(Some(self), |search| async {
            let mut search = search?;
            let page = search.clone().await;
            let next = page.as_ref().ok().and_then(|page| page.next);
            let rest = next.map(|next| {
                search.after = Some(next);
                search
            });
            Some((page, rest))
        })
    }

    /// Follows what is found: at first all of it is new, then come changes. A reader that is slow gets fewer and larger ones.
    /// Ends after an error, and when the host does.
    pub fn follow(self) -> LiveQuery {
        LiveQuery(Box::pin(unfold(Following::Asked(self), |following| async {
            let mut open = match following {
                Following::Asked(search) => match Open::new(search).await {
                    Ok(open) => open,
                    Err(error) => return Some((Err(error), Following::Ended)),
                },
                Following::Open(open) => open,
                Following::Ended => return None,
            };
            match open.next().await {
                Ok(changes) => Some((Ok(changes), Following::Open(open))),
                // The group or the host is gone.
                Err(CommandError::Node(Error::Closing | Error::UnknownGroup)) => None,
                Err(CommandError::Stopped | CommandError::Left) => None,
                Err(error) => Some((Err(error), Following::Ended)),
            }
        })))
    }
}

impl IntoFuture for Search {
    type Output = Result<Found, CommandError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { group, query, order, after, limit, count } = self;
            let query = query.map_err(Error::BadQuery)?;
            let search = io::Search { query, order, after, limit, count };
            let command = Command::Group(group.id, GroupCommand::Search { search });
            let Reply::Found(found) = group.requests.ask(command).await? else {
                unreachable!("{WRONG_REPLY}")
            };
            Ok(found)
        })
    }
}

/// The records that a query finds: at first all of them, then each change. [`Changes::apply`] keeps a list up to date. The query is
/// followed until this is dropped.
pub struct LiveQuery(Pin<Box<dyn Stream<Item = Result<Changes, CommandError>> + Send>>);

impl Stream for LiveQuery {
    type Item = Result<Changes, CommandError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for LiveQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiveQuery")
    }
}

/// How far a live query is.
enum Following {
    Asked(Search),
    Open(Open),
    Ended,
}

/// A query that the node follows, until this is dropped.
struct Open {
    requests: Requests,
    group: GroupId,
    id: QueryId,
    _place: OwnedSemaphorePermit,
}

impl Open {
    async fn new(search: Search) -> Result<Self, CommandError> {
        let Search { group, query, order, limit, .. } = search;
        let query = query.map_err(Error::BadQuery)?;
        let mut name = [0; 8];
        secret::fill(&mut name);
        let id = QueryId(u64::from_le_bytes(name));
        let place = group.requests.place_to_follow()?;
        // From here on it is ended, whether the answer comes or nobody waits for it any longer.
        let open = Self { requests: group.requests, group: group.id, id, _place: place };
        open.ask(GroupCommand::Query { id, query, order, limit }).await?;
        Ok(open)
    }

    async fn next(&mut self) -> Result<Changes, CommandError> {
        let Reply::Changes(changes) = self.ask(GroupCommand::Changes { query: self.id }).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(changes)
    }

    async fn ask(&self, command: GroupCommand) -> Result<Reply, CommandError> {
        self.requests.ask(Command::Group(self.group, command)).await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let end = GroupCommand::EndQuery { query: self.id };
        self.requests.tell(Command::Group(self.group, end));
    }
}
