// An EventSource in Node.js (package eventsource), and in a page: prints what it is given, an object a line, until a message
// says "end". Its own waits are shorter by SPEED.
//
// Silence for longer than two heartbeats ends a connection, and so does an answer that the EventSource gives up for: then
// a new one takes its place, which says in its address where the one before was. node FILE URL SPEED PING_MS
const { EventSource } = require("eventsource");

const [url, speed, ping] = process.argv.slice(2);
const { setTimeout: wait } = globalThis;
globalThis.setTimeout = (act, ms, ...given) => wait(act, ms / speed, ...given);

const areObjects = url.includes("format=json");
let since = "";
let opened = 0;
let again = 0;

function print(fields, done) {
  process.stdout.write(JSON.stringify(fields) + "\n", done);
}

function open() {
  const source = new EventSource(url + since);
  const replace = () => {
    clearTimeout(silence);
    source.close();
    wait(open, 20);
    again += 1;
  };
  let silence = wait(replace, 1000);
  const alive = () => {
    clearTimeout(silence);
    silence = wait(replace, 2.5 * ping);
  };
  source.onopen = () => {
    opened += 1;
    alive();
  };
  source.onerror = () => source.readyState === EventSource.CLOSED && replace();
  for (const type of ["message", "binary", "gap", "ping", "closing", "closed", "removed"])
    source.addEventListener(type, ({ data, lastEventId: id }) => {
      alive();
      if (id) since = "&since=" + encodeURIComponent(id);
      const isEnd = data === "end" || (areObjects && JSON.parse(data).text === "end");
      if (type === "message" && isEnd) {
        // At once, what a full pipe has not taken would be lost.
        print({ type: "end", opened, again }, () => process.exit());
      } else if (type !== "ping") print({ type, id, data });
    });
}

open();
