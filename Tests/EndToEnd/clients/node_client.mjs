// Runs steps with the client module: node node_client.mjs MODULE < {url, key, vectors?, steps}, as page.js does in a browser.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { perform } from "./steps.mjs";

const module = await import(pathToFileURL(process.argv[2]));
const job = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await perform(module, job)));
