// Behind the JavaScript of docs/wire.md: prints what it shows, a line each, until a message says "end" or "close".
// node FILE URL SPEED [waits]: waits are shorter by SPEED. With "waits", heartbeats, silence and the waits until it comes
// back are printed, too.
const [url, speed, waits] = process.argv.slice(2);
const { setTimeout: wait } = globalThis;
const print = (...fields) => console.log(fields.join(" "));
globalThis.setTimeout = (act, ms, ...given) => {
  if (waits && act.name === "connect") print("wait", ms);
  return wait(() => {
    if (waits && act.name === "lost") print("silence");
    act(...given);
  }, ms / speed);
};
const client = chat(url, {
  message: ({ room, text }) => {
    if (text === "end") return process.exit();
    if (text === "close") return client.close();
    print("message", room, text.split(" ")[0]);
  },
  entered: ({ room, recovered, reason }) => recovered === false && print("missing", room, reason),
  dropped: ({ room }) => print("missing", room, "dropped"),
  ping: () => waits && print("ping"),
  closing: ({ code, retry }) => waits && print("closing", code, retry),
  end: (code, reason) => print("end", code, reason),
});
