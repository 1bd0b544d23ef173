//! The commands of the application in and about a group.
use super::Group;
use crate::error::Error;
use crate::group::Ctx;
use crate::io::{GroupCommand, NodeState, Reply, RequestId, Search};
use crate::limits;
use crate::link::Links;
use crate::node_url::NodeUrl;
use crate::reach::named::By;

impl Group {
    /// Does what the application asks. Returns the reply, unless that follows later: then a method is given `request`.
    pub(crate) fn command(
        &mut self,
        ctx: &mut Ctx<'_>,
        links: &mut Links,
        command: GroupCommand,
        request: RequestId,
    ) -> Result<Option<Reply>, Error> {
        match command {
            GroupCommand::Members => {
                return Ok(Some(Reply::Members(self.member_infos(ctx.now.wall))));
            }
            GroupCommand::Nodes => return Ok(Some(Reply::Nodes(self.node_infos()))),
            GroupCommand::Invitations => {
                return Ok(Some(Reply::Invitations(self.invitation_infos(ctx.now.wall))));
            }
            GroupCommand::Explain => {
                return Ok(Some(Reply::Tried(Box::new(self.tell_tried(ctx.dialer)))));
            }
            GroupCommand::Present { attributes, forced } => {
                self.present_as(ctx, attributes, forced)?;
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::Broadcast { kind, payload, media_type } => {
                self.broadcast(ctx, links, &kind, &payload, media_type)?;
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::DeleteHere { id } => {
                self.delete_here(ctx, id)?;
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::Revalidate { records } => {
                self.revalidate(ctx, links, &records);
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::Publish { mut draft } => {
                ctx.config.provider.secure(self.id, &mut draft).map_err(Error::NotValid)?;
                self.publish_in_turn(ctx, links, draft, request)?;
            }
            GroupCommand::Records { filter } => self.read(ctx, &filter, request),
            GroupCommand::Search { search } => self.search_records(ctx, search, request)?,
            GroupCommand::Query { id, query, order, limit } => {
                let search = Search { query, order, after: None, limit, count: false };
                self.follow_query(ctx, id, search)?;
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::Changes { query } => self.await_changes(ctx, query, request)?,
            GroupCommand::EndQuery { query } => {
                self.end_query(ctx, query)?;
                return Ok(Some(Reply::Ok));
            }
            GroupCommand::Invite { invite } => {
                let nodes = self.meeting_nodes(ctx);
                self.invite(ctx, invite, nodes, request)?;
            }
            GroupCommand::Withdraw { invitation } => {
                self.withdraw_invitation(ctx, invitation, request)?;
            }
            GroupCommand::SetProperties { properties } => {
                self.set_properties(ctx, &properties, request)?;
            }
            GroupCommand::Issue { peer, grant } => self.issue_again(ctx, peer, grant, request)?,
            GroupCommand::Revoke { target, reason, keep } => {
                self.revoke(ctx, target, reason, keep, request)?;
            }
            GroupCommand::Reinstate { peer } => self.reinstate(ctx, peer, request)?,
            GroupCommand::RotateKey => self.rotate_key(ctx, request)?,
            GroupCommand::OfferOwnership => self.offer_ownership(ctx, request)?,
            GroupCommand::HandOver { peer } => self.hand_over_ownership(ctx, peer, request)?,
        }
        Ok(None)
    }

    /// Nodes at which members of the group look for each other: those that the application named, those by which we came
    /// to the group, and those to which there is a link, since all groups take seats there.
    fn meeting_nodes(&self, ctx: &Ctx<'_>) -> Vec<NodeUrl> {
        let used = |(url, by, state): &(&NodeUrl, By, &NodeState)| {
            let linked = matches!(state, NodeState::Linked { .. });
            *by == By::Application || linked || self.nodes().contains(url)
        };
        let used = ctx.dialer.states().filter(used).map(|(url, ..)| url.clone());
        used.take(limits::INVITATION_NODES_MAX).collect()
    }
}
