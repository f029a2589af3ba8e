// What the tests ask of the client module, in Node and in a browser. Bytes travel as base64; a refusal as {code, status}.

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const text = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

/** The result of every step, in order. A step is `[name, ...arguments]`. */
export async function perform(module, { url, key, steps }) {
  const agent = new module.CofferAgent({ url, key });
  const calls = {
    write: async (scope, id, secret, field, value) => (await agent.setSealed(scope, id, secret, field, bytes(value))).changed,
    read: async (...place) => text(await agent.value(...place)),
    mint: async (...place) => {
      const minted = await agent.mint(...place);
      const count = minted.key.length;
      const envelope = await module.seal(minted.key, "unused", minted.dataKeyCiphertext);
      return { count, envelope, wiped: minted.key.every((byte) => byte === 0) };
    },
    seal: async (key, value) => {
      const used = bytes(key);
      const envelope = await module.seal(used, value, "");
      return { envelope, wiped: used.every((byte) => byte === 0) };
    },
    open: async (envelope, key) => {
      const used = bytes(key);
      try {
        return { value: text(await module.open(envelope, used)), wiped: used.every((byte) => byte === 0) };
      } catch (error) {
        return { code: error.code, wiped: used.every((byte) => byte === 0) };
      }
    },
  };
  const results = [];
  for (const [name, ...values] of steps) {
    try {
      results.push(await (calls[name] ?? ((...values) => agent[name](...values)))(...values));
    } catch (error) {
      results.push({ code: error.code, status: error.status, message: error.message });
    }
  }
  return results;
}
