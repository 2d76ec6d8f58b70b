/**
 * Arguments that come in pieces, each a value with its place (Vertex AI, "PartialArg"): `$.recipe.steps[0]` and so on, the
 * values of a text one after the other. They are written as one JSON text as they come.
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

/** The steps of a path in the normalized form of RFC 9535, or with its names after dots; nothing where it is neither. */
const parsePath = (path: string): ReadonlyArray<Step> | undefined => {
  if (!path.startsWith("$")) return undefined
  const found: Array<Step> = []
  let end = 1
  for (const match of path.slice(1).matchAll(steps)) {
    const [whole, plain, index, single, double] = match
    end += whole.length
    found.push(index === undefined ? (plain ?? unescaped(single ?? double ?? "")) : Number(index))
  }
  return end === path.length && found.length > 0 ? found : undefined
}

interface Value {
  /** As JSON; of a text what stands between its quotes. */
  readonly json: string
  readonly isText: boolean
}

const valueOf = (piece: Json): Value | undefined => {
  const { boolValue, numberValue, stringValue } = piece
  if (typeof stringValue === "string") return { json: JSON.stringify(stringValue).slice(1, -1), isText: true }
  if (typeof numberValue === "number" || typeof boolValue === "boolean") {
    return { json: JSON.stringify(numberValue ?? boolValue), isText: false }
  }
  return "nullValue" in piece ? { json: "null", isText: false } : undefined
}

/** An object or a list that is being written. */
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

/** What stands at a place: a value, or more places. */
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

interface Piece extends Value {
  readonly path: ReadonlyArray<Step>
}

/** All of it at once, for when the pieces do not come in the order of the text. */
const gathered = (pieces: ReadonlyArray<Piece>): string => {
  const root: Map<Step, Node> = new Map()
  for (const { isText, json, path } of pieces) {
    let within = root
    for (const step of path.slice(0, -1)) {
      const inner = within.get(step)
      const next: Map<Step, Node> = inner instanceof Map ? inner : new Map()
      within.set(step, next)
      within = next
    }
    const last = path.at(-1) ?? ""
    const before = within.get(last)
    const continued = isText && before !== undefined && !(before instanceof Map) && before.isText
    within.set(last, { text: continued ? before.text + json : json, isText })
  }
  return render(root)
}

export interface ArgumentsWriter {
  /** The text that a piece adds; nothing where its place cannot be read. */
  readonly push: (piece: Json) => string | undefined
  /** What the text still lacks, and the whole of it. */
  readonly end: () => { readonly rest: string; readonly whole: string }
}

export const argumentsWriter = (): ArgumentsWriter => {
  const pieces: Array<Piece> = []
  const told: Array<string> = []
  const open: Array<Container> = []
  /** The place of a text that goes on. */
  let unfinished: string | undefined
  let inOrder = true

  const closing = (depth: number): string => {
    const closed = open.splice(depth).reverse()
    return closed.map(({ isList }) => (isList ? "]" : "}")).join("")
  }

  /** Leaves what the place is not in, and enters what it is in; nothing where that was left before. */
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
      const within = open[at]
      const step = path[at]
      if (within === undefined || step === undefined) return undefined
      const follows = within.isList ? step === within.names.size : typeof step === "string" && !within.names.has(step)
      if (!follows) return undefined
      text += within.names.size === 0 ? "" : ","
      if (!within.isList) text += `${JSON.stringify(step)}:`
      within.names.add(step)
      if (at < path.length - 1) {
        const inner = container(step, path[at + 1])
        open.push(inner)
        text += inner.isList ? "[" : "{"
      }
    }
    return text
  }

  const written = (piece: Json, place: string, { isText, json, path }: Piece): string | undefined => {
    let text = ""
    if (unfinished !== undefined && !(isText && unfinished === place)) {
      text += '"'
      unfinished = undefined
    }
    if (unfinished === undefined) {
      const moved = moveTo(path)
      if (moved === undefined) return undefined
      text += isText ? `${moved}"` : moved
    }
    const goesOn = isText && piece["willContinue"] === true
    unfinished = goesOn ? place : undefined
    return text + json + (isText && !goesOn ? '"' : "")
  }

  return {
    push: (piece) => {
      const place = string(piece, "jsonPath") ?? ""
      const path = parsePath(place)
      if (path === undefined) return undefined
      const value = valueOf(piece)
      if (value === undefined) return ""
      const read: Piece = { ...value, path }
      pieces.push(read)
      const text = inOrder ? written(piece, place, read) : ""
      if (text === undefined) inOrder = false
      else told.push(text)
      return text ?? ""
    },
    end: () => {
      if (!inOrder) return { rest: "", whole: gathered(pieces) }
      const rest = open.length === 0 ? "{}" : `${unfinished === undefined ? "" : '"'}${closing(0)}`
      return { rest, whole: told.join("") + rest }
    }
  }
}
