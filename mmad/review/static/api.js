// Requests to the server, which answers a decision once it is on disk.

export class Problem extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem(0, "No answer: mmad review has ended. Start it again; nothing that was saved is lost.");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    throw new Problem(401, "This page is of an earlier mmad review; open the address that it has printed now.");
  }
  let text = `The server refused this (${answer.status}).`;
  try {
    text = (await answer.json()).error ?? text;
  } catch { /* A refusal of the guard is not JSON. */ }
  throw new Problem(answer.status, text);
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function post(path, content) {
  const headers = { "content-type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(content) })).json();
}

export async function bytes(path) {
  return new Uint8Array(await (await ask(path)).arrayBuffer());
}

export async function frameTimes(video) {
  return new Float64Array((await bytes(`/api/videos/${video}/times`)).buffer);
}
