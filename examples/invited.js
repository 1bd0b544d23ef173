// Hands an invitation on to the chat: links that programs print open this page, `http://NODE/#pgi…`. The invitation is in
// the fragment of the address, which no browser sends anywhere, and stays in it.

/** The beginning of an invitation's text. Other fragments are places of this page. */
const INVITATION = /pgi\d/;

function handOn() {
  // Not kept in the history, since the link is a secret.
  if (INVITATION.test(location.hash)) location.replace(new URL(`chat/${location.hash}`, location.href));
}

// Also an invitation that is pasted into the address bar of this very page.
addEventListener("hashchange", handOn);
handOn();
