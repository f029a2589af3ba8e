// Secrets of Coffer's scoped dialect, sealed and opened where they are used: in a browser, or in Node 18 and later
// (where it is called sealing.mjs).
//
// The server mints a one-time data key for one field. The value is sealed here with AES-256-GCM (12 random bytes of IV, no
// additional data, a tag of 16 bytes), and the server keeps the envelope, which it does not open. No dependencies: WebCrypto and
// fetch. Keys are bytes that are filled with zeros after use. What the engine copies, and the agent key's text, stay until they are
// collected: JavaScript promises no more.
//
//   import { CofferAgent } from "/sealing.js";
//   const agent = new CofferAgent({ url: location.origin, key: "agk_…" });
//   const { agentId } = await agent.whoami();
//   await agent.create("agent", agentId, "acme-api", { category: "api_key" });
//   await agent.setSealed("agent", agentId, "acme-api", "token", "sk-test");
//   const text = new TextDecoder().decode(await agent.value("agent", agentId, "acme-api", "token"));

const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto; // Node 18 has no global one

/** Why a call was refused. `code` is what programs decide by (`scope_forbidden`); no value is in any text. */
export class CofferError extends Error {
  constructor(message, { code = "", status = 0, details = {} } = {}) {
    super(message);
    Object.assign(this, { name: "CofferError", code, status, details });
  }
}

/** A value under a data key as an EncryptedEnvelopeV1. `key` (32 bytes) is filled with zeros; it seals one value once. */
export async function seal(key, value, dataKeyCiphertext) {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  try {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await imported(key, "encrypt"), bytes));
    return {
      version: 1,
      iv: encode(iv),
      ciphertext: encode(sealed.subarray(0, -16)),
      authTag: encode(sealed.subarray(-16)),
      dataKeyCiphertext,
    };
  } finally {
    key.fill(0);
    if (bytes !== value) bytes.fill(0);
  }
}

/** The bytes in an envelope. `key` (32 bytes) is filled with zeros. Rejects with `envelope_not_opened` whatever is wrong. */
export async function open(envelope, key) {
  try {
    const { iv, ciphertext, authTag } = checked(envelope);
    const sealed = new Uint8Array(ciphertext.length + 16);
    sealed.set(ciphertext);
    sealed.set(authTag, ciphertext.length);
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await imported(key, "decrypt"), sealed));
  } catch {
    throw new CofferError("the envelope does not open with this data key", { code: "envelope_not_opened" });
  } finally {
    key.fill(0);
  }
}

/** One agent and its calls. Each gives what stands in `data` of the answer, or rejects with a CofferError. */
export class CofferAgent {
  #url;
  #key;
  #fetch;

  /** `url`: the server's origin; `key`: an agent key; `fetch`: another one than the global, for a proxy or a test. */
  constructor({ url, key, fetch = globalThis.fetch }) {
    const { protocol, hostname } = new URL(url);
    // A key travels over TLS, or does not leave the machine.
    if (protocol !== "https:" && !(protocol === "http:" && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(hostname))) {
      throw new CofferError("the address must begin with https://; http:// is for this machine only", { code: "invalid_url" });
    }
    this.#url = String(url).replace(/\/+$/, "");
    this.#key = key;
    // A browser's fetch must not be called as a method of another object.
    this.#fetch = (...call) => fetch(...call);
  }

  /** Which agent this is: `{agentId, tenantId, capabilities, …}`. */
  whoami() { return this.#call("GET", "/identity/whoami"); }

  /** The scopes this agent is in: `[{scope, scopeId, name, role}]`. */
  scopes() { return this.#call("GET", "/secrets/scopes"); }

  /** The secrets of a scope, without values. */
  list(scope, scopeId) { return this.#call("GET", path(scope, scopeId)); }

  /** A secret: `{aggregate, envelopes}`; plaintext fields have their value, others an envelope. The read is recorded. */
  get(scope, scopeId, secretId) { return this.#call("GET", path(scope, scopeId, secretId)); }

  /** The secret this agent uses under an id, over all its scopes; `resolvedFrom` names where it is from. */
  resolve(secretId) { return this.#call("GET", path("effective", secretId)); }

  /** Makes a secret: `{secretName, category, tags, fields}`, all of them optional. */
  create(scope, scopeId, secretId, secret = {}) {
    return this.#call("PUT", path(scope, scopeId, secretId), secret, { "If-None-Match": "*" });
  }

  /** Deletes a secret; an operator can restore it for a while. */
  remove(scope, scopeId, secretId) { return this.#call("DELETE", path(scope, scopeId, secretId)); }

  /** A one-time data key for one field: `{key, dataKeyCiphertext, expiresAt}`, `key` being 32 bytes. */
  async mint(scope, scopeId, secretId, fieldKey) {
    const { plaintextKey, ...minted } = await this.#call("POST", "/secrets/generate-data-key", { scope, scopeId, secretId, fieldKey });
    return { ...minted, key: decode(plaintextKey, 32) };
  }

  /** The data key of a stored envelope: 32 bytes. It is recorded. */
  async decryptDataKey(scope, scopeId, secretId, fieldKey, dataKeyCiphertext) {
    const body = { scope, scopeId, secretId, fieldKey, dataKeyCiphertext };
    return decode((await this.#call("POST", "/secrets/decrypt-data-key", body)).plaintextKey, 32);
  }

  /** Seals a text or a Uint8Array here and stores its envelope in a field. The secret must be there. */
  async setSealed(scope, scopeId, secretId, fieldKey, value) {
    const { key, dataKeyCiphertext } = await this.mint(scope, scopeId, secretId, fieldKey);
    const envelope = await seal(key, value, dataKeyCiphertext);
    return this.#call("PUT", path(scope, scopeId, secretId, "fields", fieldKey), { sensitivity: "encrypted", envelope });
  }

  /** Stores a text that the server may see. */
  setPlain(scope, scopeId, secretId, fieldKey, value) {
    return this.#call("PUT", path(scope, scopeId, secretId, "fields", fieldKey), { sensitivity: "plaintext", value });
  }

  /** A field's value as bytes, opened here when it is sealed. Fill them with zeros when they are used up. */
  async value(scope, scopeId, secretId, fieldKey) {
    const field = await this.#call("GET", path(scope, scopeId, secretId, "fields", fieldKey));
    if (field.sensitivity === "plaintext") return new TextEncoder().encode(field.value);
    return this.openSealed(scope, scopeId, secretId, fieldKey, field.envelope);
  }

  /** The bytes in an envelope of a field, with the data key that the server unwraps for it. */
  async openSealed(scope, scopeId, secretId, fieldKey, envelope) {
    const key = await this.decryptDataKey(scope, scopeId, secretId, fieldKey, envelope.dataKeyCiphertext);
    return open(envelope, key);
  }

  async #call(method, target, body, more = {}) {
    const headers = { Authorization: `Bearer ${this.#key}`, ...more };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, body: body && JSON.stringify(body), cache: "no-store", credentials: "omit", redirect: "error" };
    const answer = await this.#fetch(`${this.#url}/agent${target}`, options);
    const document = (await answer.json().catch(() => null)) ?? {};
    if (answer.ok && document.data !== undefined) return document.data;
    throw new CofferError(document.message ?? `the server answered ${answer.status}`, { ...document, status: answer.status });
  }
}

/** A name that fetch would fold into another path is refused. */
function path(...parts) {
  if (parts.some((part) => ["", ".", ".."].includes(part))) throw new CofferError("a name is empty or made of dots", { code: "invalid_path" });
  return "/secrets/" + parts.map(encodeURIComponent).join("/");
}

function imported(key, use) {
  if (key.length !== 32) throw new CofferError("a data key has 32 bytes", { code: "invalid_data_key" });
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, [use]);
}

/** The decoded parts of an EncryptedEnvelopeV1 with exactly its members. */
function checked(envelope) {
  const names = Object.keys(envelope).sort().join();
  if (names !== "authTag,ciphertext,dataKeyCiphertext,iv,version" || envelope.version !== 1) throw new CofferError("this is no envelope", { code: "invalid_envelope" });
  return { iv: decode(envelope.iv, 12), ciphertext: decode(envelope.ciphertext), authTag: decode(envelope.authTag, 16) };
}

/** Standard base64 with padding (RFC 4648, section 4), in pieces that fit the arguments of one call. */
function encode(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 4096) text += String.fromCharCode(...bytes.subarray(start, start + 4096));
  return btoa(text);
}

/** Its exact inverse: another alphabet, white space, missing padding and unused bits that are not zero are refused. */
function decode(text, count) {
  const bytes = Uint8Array.from(typeof text === "string" ? atob(text) : "", (character) => character.charCodeAt(0));
  if (encode(bytes) === text && (count === undefined || bytes.length === count)) return bytes;
  throw new CofferError("the server's base64 is not what it should be", { code: "invalid_base64" });
}
