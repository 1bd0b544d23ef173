//! A running node, and the handles to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peergraph_core::address::Address;
use peergraph_core::id::{GroupId, PeerId};
use peergraph_core::identity::Identity;
use peergraph_core::invitation::{Invitation, InvitationError};
use peergraph_core::io::{
    Command, GroupCommand, GroupInfo, LinkInfo, NodeState, Preview, Reply, Tried,
};
use peergraph_core::name::PeerName;
use peergraph_core::node_url::NodeUrl;
use peergraph_core::password::Password;

use crate::addresses::Addresses;
use crate::group::Group;
use crate::membership::CreateGroup;
use crate::requests::{CommandError, Requests, WRONG_REPLY};
use crate::watch::{Events, Registry};

mod builder;
mod driver;
#[cfg(feature = "serve")]
mod served;
#[cfg(not(feature = "serve"))]
#[path = "host/unserved.rs"]
mod served;
#[cfg(unix)]
mod shared;

pub use builder::{HostBuilder, StartError};

/// One running node of one identity, with all its groups. Handles are cheap to clone; the node ends when the last
/// one is dropped, or, properly and awaited, with [`Host::shutdown`].
#[derive(Clone, Debug)]
pub struct Host {
    pub(crate) requests: Requests,
    registry: Arc<Registry>,
    about: Arc<About>,
}

#[derive(Debug)]
struct About {
    identity: Identity,
    document: String,
    http: Vec<SocketAddr>,
    /// The fingerprint of the certificate of the HTTP port, and its file.
    tls: Option<(String, PathBuf)>,
    addresses: Reached,
}

/// Where a host is reached.
#[derive(Debug)]
enum Reached {
    Here(Arc<Addresses>),
    /// As the program of the host said when this one began to use it.
    Elsewhere(Vec<Address>),
}

/// Why a group cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The text is not an invitation.
    #[error("{0}")]
    Invitation(InvitationError),
    /// The node says no.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl Host {
    /// Begins a host.
    #[must_use]
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// SHA-256 of the certificate that the HTTP port showed when it was opened, as browsers show it, if it speaks TLS.
    #[must_use]
    pub fn tls_fingerprint(&self) -> Option<&str> {
        self.about.tls.as_ref().map(|(fingerprint, _)| fingerprint.as_str())
    }

    /// The file of that certificate, for [`HostBuilder::tls_ca`] of others.
    #[must_use]
    pub fn tls_certificate(&self) -> Option<&Path> {
        self.about.tls.as_ref().map(|(_, file)| file.as_path())
    }

    /// The peer id of this host.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.about.identity.peer_id()
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.about.identity
    }

    /// The friendly name of its identity.
    #[must_use]
    pub fn name(&self) -> &str {
        self.about.identity.name()
    }

    /// The peer name that its identity goes by.
    #[must_use]
    pub fn peer_name(&self) -> &PeerName {
        self.about.identity.peer_name()
    }

    /// Signs whatever the application likes, with the key of its identity. To check:
    /// [`PublicKey::signed`](peergraph_core::identity::PublicKey::signed).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.about.identity.sign_message(message)
    }

    /// The public document that an inviter needs to invite this identity and nobody else: its
    /// certificate in PEM. Not secret.
    #[must_use]
    pub fn public_document(&self) -> &str {
        &self.about.document
    }

    /// Where HTTP is served, with the real port; the first of several.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.about.http.first().copied()
    }

    /// Where HTTP is served, with the real ports; for `[::]` one address of each family.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.about.http
    }

    /// Where this host can be dialled without signalling, best first. Changes with the interfaces of the machine.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        match &self.about.addresses {
            Reached::Here(addresses) => addresses.own(),
            Reached::Elsewhere(addresses) => addresses.clone(),
        }
    }

    /// Whether another program runs this host, and we use it; see [`HostBuilder::shared`].
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.about.addresses, Reached::Elsewhere(_))
    }

    /// Begins to make a group, with us as its owner and first administrator: `host.create_group("Trip").await?`.
    pub fn create_group(&self, name: impl Into<String>) -> CreateGroup {
        CreateGroup::new(self.requests.clone(), self.registry.clone(), name.into())
    }

    /// Asks a member what an invitation is about: names, role, expiry, uses left. Nothing is joined or redeemed, and a join
    /// need not wait for it.
    ///
    /// # Errors
    /// [`CommandError`]; [`Error::NobodyToAsk`](crate::Error::NobodyToAsk) if no member is reached within some twenty seconds.
    pub async fn preview(&self, invitation: &Invitation) -> Result<Preview, CommandError> {
        let command = Command::Preview { invitation: invitation.clone() };
        let Reply::Preview(preview) = self.requests.ask(command).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(*preview)
    }

    /// Joins the group of an invitation: a link (`https://…#…`), its text, or anything that holds it. Done when the membership
    /// is held; it is durable a moment later (if this program crashes before, the same invitation can be used again), and records
    /// arrive. The nodes in the link, and its page if that is a node, are used, and
    /// kept in the data folder ([`Folder::nodes`](crate::Folder::nodes)).
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join(&self, link: impl AsRef<str>) -> Result<Group, JoinError> {
        self.join_by(link.as_ref(), None).await
    }

    /// The same with an invitation by password.
    ///
    /// # Errors
    /// [`JoinError`]; among others [`Error::WrongPassword`](crate::Error::WrongPassword) and [`Error::TooManyTries`](crate::Error::TooManyTries).
    pub async fn join_with(
        &self,
        link: impl AsRef<str>,
        password: Password,
    ) -> Result<Group, JoinError> {
        self.join_by(link.as_ref(), Some(password)).await
    }

    async fn join_by(&self, link: &str, password: Option<Password>) -> Result<Group, JoinError> {
        let invitation = parse_invitation(link).map_err(JoinError::Invitation)?;
        let mut nodes = invitation.nodes.clone();
        if let Some(page) = page_of(link, &nodes) {
            self.connect(page.clone()).await?;
            nodes.push(page);
        }
        for node in &invitation.nodes {
            self.registry.trying(node);
        }
        let command = Command::Join { invitation, password };
        let Reply::Group(info) = self.requests.ask(command).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        for node in nodes {
            self.requests.keep(node).await?;
        }
        Ok(self.group_handle(info))
    }

    /// The groups of this identity.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn groups(&self) -> Result<Vec<Group>, CommandError> {
        let Reply::Groups(groups) = self.requests.ask(Command::Groups).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(groups.into_iter().map(|info| self.group_handle(info)).collect())
    }

    /// The links of this node, of all groups.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn links(&self) -> Result<Vec<LinkInfo>, CommandError> {
        let Reply::Links(links) = self.requests.ask(Command::Links).await? else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(links)
    }

    /// Uses one more node to find members. It is looked up and linked after that; [`Event::NamedNode`](peergraph_core::io::Event::NamedNode) tells how that
    /// goes.
    ///
    /// # Errors
    /// [`CommandError`]. That a node is not reached is no error: it is tried again.
    pub async fn connect(&self, node: NodeUrl) -> Result<(), CommandError> {
        self.registry.trying(&node);
        self.requests.ask(Command::Connect { node }).await.map(drop)
    }

    /// Keeps a node that is used in the data folder, for later starts, once it is reached.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn keep_node(&self, node: NodeUrl) -> Result<(), CommandError> {
        self.requests.keep(node).await
    }

    /// The nodes that were named, by the application or an invitation, and how far each is.
    #[must_use]
    pub fn nodes(&self) -> Vec<(NodeUrl, NodeState)> {
        self.registry.nodes()
    }

    /// The attempts of a group to find members since it last had a neighbour, also while a join is
    /// under way.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn explain(&self, group: GroupId) -> Result<Tried, CommandError> {
        let Reply::Tried(tried) =
            self.requests.ask(Command::Group(group, GroupCommand::Explain)).await?
        else {
            unreachable!("{WRONG_REPLY}")
        };
        Ok(*tried)
    }

    /// The events of this host from here on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.registry.events()
    }

    /// Lets no further program use this host ([`HostBuilder::shared`]), and waits until those have gone that use it for one
    /// command: what they have not done when the host ends fails. Programs that watch are not waited for, as they go on by
    /// themselves. There is no bound. A program that begins meanwhile waits until the data folder is free.
    pub async fn close_door(&self) {
        self.registry.close_door().await;
    }

    /// Leaves every graph properly, and ends when everything is durable and the data folder is free. A host that another
    /// program runs goes on: only our use of it ends.
    ///
    /// # Errors
    /// [`CommandError::Stopped`] if it had ended already.
    pub async fn shutdown(&self) -> Result<(), CommandError> {
        self.requests.shut_down().await
    }

    fn group_handle(&self, info: GroupInfo) -> Group {
        Group::new(info, self.requests.clone(), self.registry.clone())
    }
}

/// Reads an invitation from a link, its text, or anything that holds it.
///
/// # Errors
/// [`InvitationError`].
pub fn parse_invitation(link: &str) -> Result<Invitation, InvitationError> {
    Invitation::from_text(link)
}

/// The page that a link opens, if it can be a node and is not a page of one that the link names.
fn page_of(link: &str, nodes: &[NodeUrl]) -> Option<NodeUrl> {
    let (page, _) = link.trim().split_once('#')?;
    let page: NodeUrl = page.parse().ok().filter(NodeUrl::is_web)?;
    let text = page.to_string();
    (!nodes.iter().any(|node| text.starts_with(&node.to_string()))).then_some(page)
}
