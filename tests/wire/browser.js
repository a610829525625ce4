// A page in headless Chromium with the JavaScript of docs/wire.md: its connections are cut at random bytes, and it shows
// every message once and in order. node browser.js CHAT_SERVER CHROMIUM; WIRE_SEED repeats a run.
const { once } = require("node:events");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { below, fail, listen, relay, serve, startServer } = require("./tools.js");

const [program, browser] = process.argv.slice(2);
const COUNT = 500, MAX_AHEAD = 100, PATIENCE = 30_000, SPEED = 20;

function page(port) {
  const text = fs.readFileSync(path.join(__dirname, "../../docs/wire.md"), "utf8");
  const [, block] = text.split("\n## Thirty lines")[1].match(/\n```js\n(.*?)\n```/s);
  return `<!doctype html><meta charset="utf-8"><title>chat</title><script>
const wait = window.setTimeout;
window.setTimeout = (act, ms, ...given) => wait(act, ms / ${SPEED}, ...given);
${block}
chat("ws://127.0.0.1:${port}/rooms/r?history=1000", {
  message: ({ text }) => show(text.split(" ")[0]),
  entered: ({ recovered, reason }) => recovered === false && show("missing: " + reason),
  end: (code, reason) => show("end: " + code + " " + reason),
});
</script>`;
}

async function main() {
  let html;
  const site = await serve(() => html);
  const port = await startServer(program, "--origin", `http://127.0.0.1:${site}`);
  const cutting = relay(port, 6_000);
  html = page(await listen(cutting));

  const publisher = new WebSocket(`ws://127.0.0.1:${port}/rooms/r?echo=false`);
  await once(publisher, "open");
  const window = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
  const tab = await window.newPage();
  tab.on("pageerror", (error) => fail(error));
  let [published, shown] = [0, 0];
  let deadline;
  const done = new Promise((resolve) => {
    const publish = () => {
      clearTimeout(deadline);
      deadline = setTimeout(() => fail(`nothing comes behind ${shown}, after ${cutting.cuts} cuts`), PATIENCE);
      while (published < Math.min(COUNT, shown + MAX_AHEAD)) publisher.send(`${++published} ${"x".repeat(below(300))}`);
    };
    tab.exposeFunction("show", (line) => {
      if (line !== String(shown + 1)) fail(`${line}, after ${shown}`);
      shown += 1;
      if (shown === COUNT) resolve();
      publish();
    }).then(() => tab.goto(`http://127.0.0.1:${site}/`));
    publish();
  });
  await done;
  clearTimeout(deadline);
  if (cutting.cuts < 15) fail(`only ${cutting.cuts} cuts`);
  console.log(`the page showed ${COUNT} messages once and in order, over ${cutting.cuts} cuts`);
  await window.close();
  process.exit();
}

main().catch(fail);
