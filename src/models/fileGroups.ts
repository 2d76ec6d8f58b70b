/** Reads the groups of a provider file. */
import { unknownField } from "../internal/nearest.js"
import type { GroupEntry, GroupMember, GroupStrategy, ModelEntry } from "./fileModel.js"
import { isRecord } from "../wire/json.js"
import type { Expand, AddFault } from "./fileFields.js"
import { fieldsOf, optional } from "./fileFields.js"

const strategies: ReadonlyArray<GroupStrategy> = [
  "least-loaded",
  "weighted",
  "round-robin",
  "latency",
  "cost",
  "failover",
  "random",
  "sticky"
]

const isStrategy = (text: string): text is GroupStrategy => strategies.some((strategy) => strategy === text)

const groupFields: ReadonlySet<string> = new Set(["strategy", "members"])

const memberFields: ReadonlySet<string> = new Set(["model", "weight", "order", "cost", "max_concurrency"])

/** The models and aliases of the file, and the reader's callbacks. */
export interface Context {
  readonly models: ReadonlyArray<ModelEntry>
  readonly aliases: Readonly<Record<string, string>>
  readonly addFault: AddFault
  readonly addWarning: (warning: string) => void
  readonly expand: Expand
}

export const readGroups = (json: unknown, context: Context): ReadonlyArray<GroupEntry> => {
  const { aliases, expand, models, addFault, addWarning } = context
  if (json === undefined) return []
  if (!isRecord(json)) {
    addFault("$groups", 'expected an object such as { "fast": { "members": ["openai/gpt-4o-mini"] } }')
    return []
  }
  const byId = new Map(models.map((entry) => [`${entry.provider}/${entry.model}`, entry]))

  const readMember = (member: unknown, path: string): ReadonlyArray<GroupMember> => {
    const isText = typeof member === "string"
    if (!isText && !isRecord(member)) {
      addFault(path, 'expected a model, or an object such as { "model": "openai/gpt-4o", "weight": 2 }')
      return []
    }
    const from = isText ? { model: member } : member
    for (const field of Object.keys(from)) {
      if (!memberFields.has(field)) addWarning(`${path}.${field}: ${unknownField(field, memberFields)}`)
    }
    const fields = fieldsOf(from, path, (at, message) => addFault(isText ? path : at, message), expand)
    const at = isText ? path : fields.at("model")
    const name = fields.text("model")
    if (name === undefined) {
      if (!isText && member["model"] === undefined) addFault(at, "is missing")
      return []
    }
    const id = aliases[name] ?? name
    const entry = byId.get(id)
    if (entry === undefined) {
      addFault(at, Object.hasOwn(json, id) ? `"${name}" is a group; members must be models` : unknownModel(name))
      return []
    }
    return [
      {
        model: id,
        weight: fields.positive("weight") ?? entry.weight,
        order: fields.notNegative("order") ?? 0,
        ...optional("cost", fields.notNegative("cost")),
        ...optional("maxConcurrency", fields.whole("max_concurrency"))
      }
    ]
  }

  const readMembers = (members: unknown, path: string): ReadonlyArray<GroupMember> => {
    if (!Array.isArray(members) || members.length === 0) {
      addFault(path, members === undefined ? "is missing" : "expected a list with at least one model")
      return []
    }
    const seen = new Set<string>()
    return members.flatMap((member: unknown, index) => {
      const at = `${path}[${index}]`
      const read = readMember(member, at)
      for (const { model } of read) {
        if (seen.has(model)) addFault(at, `"${model}" is a member already`)
        seen.add(model)
      }
      return read
    })
  }

  return Object.entries(json).flatMap(([name, group]) => {
    const path = `$groups.${name}`
    if (name === "") addFault(path, "has no name")
    if (byId.has(name)) addFault(path, `"${name}" is a model already`)
    if (Object.hasOwn(aliases, name)) addFault(path, `"${name}" is an alias already`)
    if (!isRecord(group)) {
      addFault(path, 'expected an object such as { "members": ["openai/gpt-4o-mini"] }')
      return []
    }
    for (const field of Object.keys(group))
      if (!groupFields.has(field)) addWarning(`${path}.${field}: ${unknownField(field, groupFields)}`)
    const strategy = fieldsOf(group, path, addFault, expand).text("strategy") ?? "least-loaded"
    if (!isStrategy(strategy)) {
      addFault(`${path}.strategy`, `expected one of ${strategies.map((one) => `"${one}"`).join(", ")}`)
    }
    const members = readMembers(group["members"], `${path}.members`)
    return [{ name, strategy: isStrategy(strategy) ? strategy : "least-loaded", members }]
  })
}

/** The fault of a name that the file does not define. */
export const unknownModel = (name: string): string => `"${name}" is no model of this file`
