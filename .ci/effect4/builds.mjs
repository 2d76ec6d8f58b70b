// The two builds: where their sources are, and the Node that runs them.
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const effect4 = `${root}.effect4`

export const builds = [
  { effect: 3, cwd: root, node: process.execPath },
  { effect: 4, cwd: effect4, node: `${effect4}/node_modules/.bin/node` }
]
