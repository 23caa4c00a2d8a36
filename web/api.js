// Talks to the admin API.
//
// The token is kept for this tab only, in no cookie, so that no other site can make the browser send it.

const TOKEN = "mqhook-token";
const PATIENCE = 15_000;
/** The server comments an idle stream every 15 s. */
const SILENCE = 45_000;

/** What the API refuses, as RFC 9457 has it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The answer was ${status}`);
    this.status = status;
    this.title = body.title || "It did not work";
    this.detail = body.detail || "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
  }
}

/** mqhook did not answer. */
export class Unreachable extends Error {}

let token = sessionStorage.getItem(TOKEN);

export function hasToken() {
  return token !== null;
}

export function setToken(text) {
  token = text;
  if (text === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, text);
}

/** Returns a path of segments and, as `?a=b`, of those parameters that say something. */
export function path(segments, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  const search = new URLSearchParams(said).toString();
  return "/" + segments.map(encodeURIComponent).join("/") + (search ? `?${search}` : "");
}

export async function get(segments, query, options) {
  return (await request("GET", path(segments, query), options)).data;
}

export async function post(segments, body, options) {
  return (await request("POST", path(segments), { ...options, body: body ?? {} })).data;
}

/** Resolves to null where a token may not look, so that the rest is shown all the same. */
export async function permitted(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Problem && [403, 404, 409].includes(error.status)) return null;
    throw error;
  }
}

/** Returns `{ data, etag }`; options are `body`, `etag` for If-Match, and `signal`. */
export async function request(method, target, { body, etag, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (etag) headers["if-match"] = etag;
  const timeout = AbortSignal.timeout(PATIENCE);
  const response = await send(target, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  const data = await content(response);
  if (!response.ok) throw new Problem(response.status, data ?? {});
  return { data, etag: response.headers.get("etag") };
}

async function send(target, init) {
  if (token) init.headers.authorization = `Bearer ${token}`;
  try {
    // Without credentials the browser asks for no password of its own.
    return await fetch(target, { ...init, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (init.signal.aborted && init.signal.reason?.name === "AbortError") throw error;
    throw new Unreachable("mqhook does not answer", { cause: error });
  }
}

async function content(response) {
  try {
    const text = await response.text();
    return text === "" ? null : JSON.parse(text);
  } catch (error) {
    if (response.ok) throw new Unreachable("The answer was cut short, or is not of mqhook", { cause: error });
    return null;
  }
}

/**
 * Yields `{ event, data }` of a stream of events until it ends. EventSource could not send the token.
 * Calls `opened` once the server has answered.
 */
export async function* stream(target, signal, opened) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  try {
    const headers = { accept: "text/event-stream" };
    const response = await send(target, { headers, signal: AbortSignal.any([signal, silence.signal]) });
    if (!response.ok) throw new Problem(response.status, (await content(response)) ?? {});
    opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE);
      const blocks = (rest + value.replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const message = parse(block);
        if (message) yield message;
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

function parse(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return data.length === 0 ? null : { event, data: JSON.parse(data.join("\n")) };
}
