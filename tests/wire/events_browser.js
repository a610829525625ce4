// EventSource in headless Chromium: pages whose streams are cut, texts that try to forge events, and pages of other
// origins. node events_browser.js CHAT_SERVER CHROMIUM; WIRE_SEED repeats a run.
const { once } = require("node:events");
const { chromium } = require("playwright-core");
const { below, fail, listen, relay, serve, startServer } = require("./tools.js");

const [program, browser] = process.argv.slice(2);
const PATIENCE = 30_000;
// How often pages are cut at least: `EVENT_CUTS`, 25 if it is not set.
const LONGER = Number(process.env.EVENT_CUTS ?? 25) / 25;

async function publisher(port, room) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rooms/${room}?echo=false`);
  await once(socket, "open");
  return socket;
}

// A page of a site, whose script calls `show` of this program.
async function open(window, site, show) {
  const tab = await window.newPage();
  tab.on("pageerror", fail);
  await tab.exposeFunction("show", show);
  await tab.goto(`http://127.0.0.1:${site}/`);
  return tab;
}

// Each EventSource reconnects by itself, after the time that the server says.
const itself = (port, rooms) => `<!doctype html><script>
for (let room = 0; room < ${rooms}; room++) {
  const source = new EventSource("http://127.0.0.1:${port}/rooms/" + room + "?history=1000");
  source.onmessage = ({ data, lastEventId }) => show(room, lastEventId, data);
  source.onerror = () => source.readyState === EventSource.CLOSED && show(room, "", "it has given up");
  source.addEventListener("gap", ({ data }) => show(room, "", "gap: " + data));
}
</script>`;

// The page makes a new EventSource, which says in its address where the one before was.
const anew = (port) => `<!doctype html><script>
let since = "";
function connect() {
  const source = new EventSource("http://127.0.0.1:${port}/rooms/0?history=1000" + since);
  const again = () => {
    clearTimeout(silence);
    source.close();
    setTimeout(connect, 20);
  };
  let silence = setTimeout(again, 1000);
  const alive = ({ lastEventId }) => {
    clearTimeout(silence);
    silence = setTimeout(again, 500);
    if (lastEventId) since = "&since=" + lastEventId;
  };
  source.onopen = alive;
  source.onerror = again;
  source.addEventListener("ping", alive);
  source.addEventListener("gap", ({ data }) => show(0, "", "gap: " + data));
  source.onmessage = (event) => {
    alive(event);
    show(0, event.lastEventId, event.data);
  };
}
connect();
</script>`;

// Publishes to rooms, and insists that the page shows every message once and in order.
async function cut(window, { html, rooms, count, ahead, most, gently, cuts }) {
  let text;
  const site = await serve(() => text);
  const flags = ["--origin", `http://127.0.0.1:${site}`, "--ping-interval", "200ms"];
  const port = await startServer(program, ...flags);
  const cutting = relay(port, most, gently);
  text = html(await listen(cutting), rooms);
  // Eight publishers, each in a room at a time.
  const publishers = [];
  for (let number = 0; number < 8; number++) publishers.push(await publisher(port, number % rooms));
  const [published, shown] = [new Array(rooms).fill(0), new Array(rooms).fill(0)];
  let deadline;
  await new Promise((resolve) => {
    const publish = (room) => {
      clearTimeout(deadline);
      deadline = setTimeout(() => fail(`nothing comes behind ${shown}, after ${cutting.cuts} cuts`), PATIENCE);
      while (published[room] < Math.min(count, shown[room] + ahead)) {
        const mine = publishers.filter((_, number) => number % rooms === room);
        mine[below(mine.length)].send("x".repeat(1 + below(99)));
        published[room] += 1;
      }
    };
    open(window, site, (room, id, data) => {
      if (id.split("-")[1] !== String(shown[room] + 1) || !data.startsWith("x")) {
        fail(`${room}: ${id}, ${data}, after ${shown}`);
      }
      shown[room] += 1;
      publish(room);
      if (shown.every((number) => number === count)) resolve();
    });
    for (let room = 0; room < rooms; room++) publish(room);
  });
  clearTimeout(deadline);
  if (cutting.cuts < cuts) fail(`only ${cutting.cuts} cuts`);
  return cutting.cuts;
}

function texts() {
  const characters = [...Array(0x20).keys(), ...Array.from(Array(0x21).keys(), (it) => 0x7f + it), 0x2028, 0x2029, 0xfeff];
  const texts = [""];
  for (const it of characters.map((code) => String.fromCodePoint(code))) {
    texts.push(it, it + it + it, it + "a", "a" + it, `a${it}b${it}${it}c`, `a\n${it}b\r${it}c\r\n${it}`);
    texts.push(`a${it}id: forged${it}event: closed${it}retry: 1${it}data: b${it}${it}data: c${it}${it}`);
    texts.push(`a${it}\n\nid${it}: forged\n\nevent${it}: gap\ndata${it}: b\n\n:${it}`);
  }
  return texts;
}

async function forge(window) {
  let port;
  const site = await serve(() => `<!doctype html><script>
const source = new EventSource("http://127.0.0.1:${port}/rooms/r");
for (const name of ["message", "closed", "closing", "gap", "binary", "removed"])
  source.addEventListener(name, ({ lastEventId, data }) => show(name, lastEventId, data));
source.onopen = () => show("open", "", "");
</script>`);
  port = await startServer(program, "--origin", `http://127.0.0.1:${site}`);
  const all = texts();
  const socket = await publisher(port, "r");
  let shown = 0;
  await new Promise((resolve) => {
    const timer = setTimeout(() => fail(`nothing comes behind text ${shown}`), PATIENCE);
    open(window, site, (name, id, data) => {
      if (name === "open") return all.forEach((text) => socket.send(text));
      const expected = all[shown].replaceAll("\r\n", "\n").replaceAll("\r", "\n");
      shown += 1;
      if (name !== "message" || data !== expected || id.split("-")[1] !== String(shown)) {
        fail(`${name}, ${id}, ${JSON.stringify(data)} for ${JSON.stringify(all[shown - 1])}`);
      }
      if (shown === all.length) resolve(clearTimeout(timer));
    });
  });
  return all.length;
}

// What a page of a site may: an EventSource with and without credentials, and a request that is asked for before.
async function mayRead(window, site, port) {
  const tab = await open(window, site, () => {});
  const may = tab.evaluate(async (url) => {
    const source = (options) => new Promise((resolve) => {
      const source = new EventSource(url, options);
      source.onopen = () => resolve(true) || source.close();
      source.onerror = () => resolve(false) || source.close();
    });
    const asked = fetch(url + "?format=events", { headers: { "Last-Event-ID": "a-1" } })
      .then(({ body }) => body.cancel()).then(() => true, () => false);
    return [await source({}), await source({ withCredentials: true }), await asked].join();
  }, `http://127.0.0.1:${port}/rooms/r`);
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE, "a page waits for its answer").unref());
  return Promise.race([may, late]);
}

async function origins(window) {
  const [listed, foreign] = [await serve(() => "listed"), await serve(() => "foreign")];
  const some = await startServer(program, "--log", "error", "--origin", `http://127.0.0.1:${listed}`);
  const any = await startServer(program, "--log", "error", "--origin", "*");
  for (const [site, port, expected] of [
    [listed, some, "true,true,true"],
    [foreign, some, "false,false,false"],
    [foreign, any, "true,false,true"],
  ]) {
    const may = await mayRead(window, site, port);
    if (may !== expected) fail(`a page may ${may}, expected ${expected}: ${site === listed}, ${port === some}`);
  }
}

async function main() {
  const window = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
  const [first, second] = await Promise.all([
    cut(window, { html: itself, rooms: 5, count: 30 * LONGER, ahead: 20, most: 1_500, gently: true, cuts: 10 * LONGER }),
    cut(window, { html: anew, rooms: 1, count: 300 * LONGER, ahead: 100, most: 3_000, gently: false, cuts: 15 * LONGER }),
  ]);
  console.log(`EventSources showed every message once and in order, over ${first} cuts by themselves and ${second} anew`);
  console.log(`${await forge(window)} texts forged no event`);
  await origins(window);
  console.log("pages of listed origins read events, others do not");
  await window.close();
  process.exit();
}

main().catch(fail);
