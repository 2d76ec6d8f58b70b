/** Names of fields: JSON of protocol buffers accepts camelCase and snake_case ("ProtoJSON Format"). */
import type { Json } from "../json.js"

const toCamelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

const isSnakeCase = (name: string): boolean => name.includes("_")

/** The fields with camelCase names. Most inputs have them already. */
export const camelCased = (fields: Json): Json =>
  Object.keys(fields).some(isSnakeCase)
    ? Object.fromEntries(Object.entries(fields).map(([name, value]) => [toCamelCase(name), value]))
    : fields
