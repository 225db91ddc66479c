// Calls a port many times at once and waits: a queue that nobody serves fills with the SYNs and their repetitions.
//
//     node knock.ts ADDRESS PORT COUNT
//
// Prints "knocked" when all calls are under way. A refusal is nothing to it; it ends when it is told to.

import { connect } from "node:net";

const [host = "", port = "", count = ""] = process.argv.slice(2);
for (let i = 0; i < Number(count); i++) connect(Number(port), host).on("error", () => {});
setImmediate(() => process.stdout.write("knocked\n"));
setInterval(() => {}, 1000);
