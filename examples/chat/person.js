// The dialog about one member: what they may do, and for administrators a new role and the end of the membership.
import { $, el, setText } from "./dom.js";
import { errorWords, reasonWords, roleWords, signerWords, standingWords } from "./words.js";

/** Prepares the dialog. `current()` gives the group on the screen. Gives the function that shows a member in it. */
export function setUpPerson(current) {
  const dialog = $("person");
  let member = null;
  let group = null;

  /** Does something with the member; the dialog closes when it is done. */
  const act = (formId, waiting, work) => {
    const form = $(formId);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      const label = button.textContent;
      button.disabled = true;
      setText(button, waiting);
      setText($("person-error"), "");
      try {
        await work();
        dialog.close();
      } catch (error) {
        setText($("person-error"), errorWords(error));
      } finally {
        button.disabled = false;
        setText(button, label);
      }
    });
  };
  act("person-role-form", "Changing …", () => group.promote(member, { role: $("person-role").value }));
  act("person-revoke-form", "Ending …", () => group.revoke(member, {
    reason: $("person-reason").value,
    records: $("person-drop").checked ? "drop" : "keep",
    members: $("person-drop-members").checked ? "drop" : "keep",
  }));
  act("person-reinstate-form", "Letting back in …", () => group.reinstate(member));
  $("person-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  return (shown) => {
    [member, group] = [shown, current()];
    setText($("person-title"), member.name || "Unknown member");
    const { standing, revoked } = member;
    const roles = roleWords(member.role, member.roles);
    const fields = [
      ["Is", standingWords(standing, revoked)],
      [standing === "member" ? "May" : "Could", roles],
      ["Let in by", signerWords(member.issuer)],
      ["Until", member.expires.toLocaleDateString(undefined, { dateStyle: "long" })],
    ];
    if (revoked && reasonWords(revoked.reason)) fields.splice(1, 0, ["Because", reasonWords(revoked.reason)]);
    $("person-fields").replaceChildren(
      ...fields.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
      el("dt", {}, "Key"), el("dd", { class: "code", title: member.id }, member.id));
    const may = group.role === "administrator" && group.standing === "member" && !member.me;
    const mine = revoked?.by.me ?? false;
    $("person-role-form").hidden = $("person-revoke-form").hidden = !may || standing !== "member";
    $("person-reinstate-form").hidden = !may || !mine;
    $("person-role").value = member.role;
    $("person-revoke").open = false;
    $("person-revoke-form").reset();
    setText($("person-error"), "");
    dialog.showModal();
    $("person-close").focus();
  };
}
