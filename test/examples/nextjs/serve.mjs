// serve.mjs: the application of examples/nextjs, to look at, until Ctrl-C.

import { startApplication } from './application.mjs';

const { origin, stop } = await startApplication();

console.log(`\n  ${origin}\n\nAnn and Bea are there, both members of Acme; to sign in, a click is enough. Ctrl-C ends it.`);
process.on('SIGTERM', stop);
