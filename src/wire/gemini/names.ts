/** Names of fields: JSON of protocol buffers may have them in either notation ("ProtoJSON Format"). */
import type { Json } from "../json.js"

const inCamelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

const isSnakeCase = (name: string): boolean => name.includes("_")

/** The same fields under the names that the documentation writes, as nearly all are. */
export const named = (fields: Json): Json =>
  Object.keys(fields).some(isSnakeCase)
    ? Object.fromEntries(Object.entries(fields).map(([name, value]) => [inCamelCase(name), value]))
    : fields
