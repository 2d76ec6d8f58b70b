/**
 * A bound on the nesting depth of data: traversal and `JSON.stringify` recurse, and would overflow the stack.
 */
import { pathOf } from "./faults.js"

type Path = ReadonlyArray<string | number>

/** The greatest depth allowed: several times that of any schema that a provider takes, and far below the limit of the stack. */
export const most = 500

export const fault = `is nested deeper than ${most} levels, or contains itself; make it flatter`

/** The field that holds the value nested too deeply, such as `metadata` or `tools[0].parameters`. */
export const fieldOf = (path: Path): string => pathOf(typeof path[1] === "number" ? path.slice(0, 3) : path.slice(0, 1))

/**
 * The path of the first value below the greatest depth, in the value of a JSON text. A short text has none: each level takes two
 * characters.
 */
export const tooDeepIn = (text: string, value: unknown): Path | undefined =>
  text.length > 2 * most ? tooDeep(value) : undefined

/** Whether the value of a JSON text is nested too deeply. */
export const isTooDeep = (text: string, value: unknown): boolean => tooDeepIn(text, value) !== undefined

/** Whether a text is JSON that is nested too deeply. */
export const isTooDeepText = (text: string): boolean => {
  if (text.length <= 2 * most) return false
  try {
    return tooDeep(JSON.parse(text)) !== undefined
  } catch {
    return false
  }
}

/** The path of the first value below the greatest depth; undefined where there is none. */
export const tooDeep = (value: unknown, left = most): Path | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (left === 0) return []
  if (Array.isArray(value)) {
    // An index rather than `entries`: embeddings are long arrays of numbers.
    for (let index = 0; index < value.length; index++) {
      const path = typeof value[index] === "object" ? tooDeep(value[index], left - 1) : undefined
      if (path !== undefined) return [index, ...path]
    }
    return undefined
  }
  for (const [name, inner] of Object.entries(value)) {
    const path = tooDeep(inner, left - 1)
    if (path !== undefined) return [name, ...path]
  }
  return undefined
}
