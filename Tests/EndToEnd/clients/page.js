// The page's whole script: performs the steps of job.json and leaves the results as text for --dump-dom.
import * as module from "/sealing.js";
import { perform } from "/clients/steps.mjs";

const job = await (await fetch("/clients/job.json")).json();
const results = await perform(module, { ...job, url: location.origin });
document.getElementById("results").textContent = btoa(JSON.stringify(results));
