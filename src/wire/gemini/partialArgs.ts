/**
 * Joins streamed arguments to one JSON text while they arrive. Each is a value with a path such as `$.recipe.steps[0]`; a string
 * can arrive in several values of one path. Source: Vertex AI, "PartialArg".
 */
import type { Json } from "../json.js"
import { string } from "../json.js"

type Step = string | number

const steps = /\.([^.[\]'"]+)|\[(\d{1,9})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/gy

const unescaped = (name: string): string =>
  name.replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_, code: string) => {
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    return { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }[code] ?? code
  })

/** The steps of a path in the normalized form of RFC 9535 or in dot notation; undefined for any other form. */
const parsePath = (path: string): ReadonlyArray<Step> | undefined => {
  if (!path.startsWith("$")) return undefined
  const parsed: Array<Step> = []
  let end = 1
  for (const match of path.slice(1).matchAll(steps)) {
    const [whole, plain, index, single, double] = match
    end += whole.length
    parsed.push(index === undefined ? (plain ?? unescaped(single ?? double ?? "")) : Number(index))
  }
  return end === path.length && parsed.length > 0 ? parsed : undefined
}

interface Value {
  /** The JSON text; of a string without its quotes. */
  readonly json: string
  readonly isText: boolean
}

const valueOf = (arg: Json): Value | undefined => {
  const { boolValue, numberValue, stringValue } = arg
  if (typeof stringValue === "string") return { json: JSON.stringify(stringValue).slice(1, -1), isText: true }
  if (typeof numberValue === "number" || typeof boolValue === "boolean") {
    return { json: JSON.stringify(numberValue ?? boolValue), isText: false }
  }
  return "nullValue" in arg ? { json: "null", isText: false } : undefined
}

/** An object or a list that is not closed yet. */
interface Container {
  readonly step: Step
  readonly isList: boolean
  readonly names: Set<Step>
}

const container = (step: Step, first: Step | undefined): Container => ({
  step,
  isList: typeof first === "number",
  names: new Set()
})

/** A value, or an object or list of nodes. */
type Node = Map<Step, Node> | { text: string; isText: boolean }

const render = (node: Node): string => {
  if (!(node instanceof Map)) return node.isText ? `"${node.text}"` : node.text
  const entries = [...node.entries()]
  return entries.length > 0 && entries.every(([step]) => typeof step === "number")
    ? `[${entries
        .sort(([one], [other]) => Number(one) - Number(other))
        .map(([, inner]) => render(inner))
        .join(",")}]`
    : `{${entries.map(([step, inner]) => `${JSON.stringify(String(step))}:${render(inner)}`).join(",")}}`
}

interface ValueAtPath extends Value {
  readonly path: ReadonlyArray<Step>
}

/** Renders all values at once, for values that do not arrive in the order of the text. */
const renderAll = (values: ReadonlyArray<ValueAtPath>): string => {
  const root: Map<Step, Node> = new Map()
  for (const { isText, json, path } of values) {
    let parent = root
    for (const step of path.slice(0, -1)) {
      const inner = parent.get(step)
      const next: Map<Step, Node> = inner instanceof Map ? inner : new Map()
      parent.set(step, next)
      parent = next
    }
    const last = path.at(-1) ?? ""
    const before = parent.get(last)
    const continued = isText && before !== undefined && !(before instanceof Map) && before.isText
    parent.set(last, { text: continued ? before.text + json : json, isText })
  }
  return render(root)
}

export interface ArgumentsWriter {
  /** The text that a value adds; undefined when its path is invalid. */
  readonly push: (arg: Json) => string | undefined
  /** The text still missing, and the whole text. */
  readonly end: () => { readonly remainder: string; readonly whole: string }
}

export const argumentsWriter = (): ArgumentsWriter => {
  const values: Array<ValueAtPath> = []
  const written: Array<string> = []
  const open: Array<Container> = []
  /** The path of a string that continues. */
  let unfinished: string | undefined
  let inOrder = true

  const closing = (depth: number): string => {
    const closed = open.splice(depth).reverse()
    return closed.map(({ isList }) => (isList ? "]" : "}")).join("")
  }

  /** Closes the containers that the path leaves and opens those that it enters; undefined when it returns to a closed one. */
  const moveTo = (path: ReadonlyArray<Step>): string | undefined => {
    let text = ""
    if (open.length === 0) {
      open.push(container("$", path[0]))
      text += typeof path[0] === "number" ? "[" : "{"
    }
    let depth = 1
    while (depth < path.length && open[depth]?.step === path[depth - 1]) depth += 1
    text += closing(depth)
    for (let at = depth - 1; at < path.length; at++) {
      const parent = open[at]
      const step = path[at]
      if (parent === undefined || step === undefined) return undefined
      const isNext = parent.isList ? step === parent.names.size : typeof step === "string" && !parent.names.has(step)
      if (!isNext) return undefined
      text += parent.names.size === 0 ? "" : ","
      if (!parent.isList) text += `${JSON.stringify(step)}:`
      parent.names.add(step)
      if (at < path.length - 1) {
        const inner = container(step, path[at + 1])
        open.push(inner)
        text += inner.isList ? "[" : "{"
      }
    }
    return text
  }

  const textOf = (arg: Json, jsonPath: string, { isText, json, path }: ValueAtPath): string | undefined => {
    let text = ""
    if (unfinished !== undefined && !(isText && unfinished === jsonPath)) {
      text += '"'
      unfinished = undefined
    }
    if (unfinished === undefined) {
      const moved = moveTo(path)
      if (moved === undefined) return undefined
      text += isText ? `${moved}"` : moved
    }
    const continues = isText && arg["willContinue"] === true
    unfinished = continues ? jsonPath : undefined
    return text + json + (isText && !continues ? '"' : "")
  }

  return {
    push: (arg) => {
      const jsonPath = string(arg, "jsonPath") ?? ""
      const path = parsePath(jsonPath)
      if (path === undefined) return undefined
      const value = valueOf(arg)
      if (value === undefined) return ""
      const valueAtPath: ValueAtPath = { ...value, path }
      values.push(valueAtPath)
      const text = inOrder ? textOf(arg, jsonPath, valueAtPath) : ""
      if (text === undefined) inOrder = false
      else written.push(text)
      return text ?? ""
    },
    end: () => {
      if (!inOrder) return { remainder: "", whole: renderAll(values) }
      const remainder = open.length === 0 ? "{}" : `${unfinished === undefined ? "" : '"'}${closing(0)}`
      return { remainder, whole: written.join("") + remainder }
    }
  }
}
