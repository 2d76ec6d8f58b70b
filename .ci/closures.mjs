// V8 allocates a function that is written where a property is assigned (`request.resume = () => …`) in the old space, since it takes it
// for a method of a prototype (`CheckAssigningFunctionLiteralToProperty` of its parser). Each such function keeps what it refers to, such
// as a whole request, alive over the collections of the new space, which copy and promote it. Effect suspends each fiber that way.
import { parse } from "acorn"
import { simple } from "acorn-walk"

const isFunction = ({ type }) => type === "ArrowFunctionExpression" || type === "FunctionExpression"

/** Writes these functions as `(0,function)`, which V8 does not take for a method. The code is that of a module. */
export const inNewSpace = (code) => {
  const functions = []
  simple(parse(code, { ecmaVersion: "latest", sourceType: "module" }), {
    AssignmentExpression: ({ left, operator, right }) => {
      if (operator === "=" && left.type === "MemberExpression" && isFunction(right)) functions.push(right)
    }
  })
  const edits = functions.flatMap(({ end, start }) => [
    [start, "(0,"],
    [end, ")"]
  ])
  const sorted = edits.sort(([a], [b]) => a - b)
  const parts = sorted.map(([at, text], index) => code.slice(sorted[index - 1]?.[0] ?? 0, at) + text)
  return parts.join("") + code.slice(sorted.at(-1)?.[0] ?? 0)
}
