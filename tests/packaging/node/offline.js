// A server that looks at an invitation and checks a signature: what needs no browser. Prints what it saw as JSON.

const [entry, text] = process.argv.slice(2);
const { readInvitation, verify, peerName } = await import(entry);
const { link, document, signature } = JSON.parse(text);

const bytes = new Uint8Array(signature);
console.log(JSON.stringify({
  group: (await readInvitation(link)).group,
  by: (await verify(document, "Olá", bytes)).id,
  forged: await verify(document, "Ola", bytes),
  peer: (await peerName("0.chess")).name,
}));
