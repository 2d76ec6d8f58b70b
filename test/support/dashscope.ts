/** Both halves of DashScope's protocol as one wire. */
import { server } from "../../src/testing/wires/dashscope/wire.js"
import { client } from "../../src/wire/dashscope/client/wire.js"
import type { Dialect } from "../../src/wire/DashScope.js"
import type { Wire } from "../../src/wire/Wire.js"

export type { Dialect }

export const make = (dialect?: Partial<Dialect>): Wire => ({ ...client(dialect), ...server })
