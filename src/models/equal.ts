/** Deep equality of configuration values: primitives, lists, plain objects, and values that implement `Equal`. */
import { Equal } from "effect"
import { isRecord } from "../wire/json.js"

export const sameValue = (self: unknown, that: unknown): boolean => {
  if (Equal.equals(self, that)) return true
  if (Equal.isEqual(self) || Equal.isEqual(that)) return false
  if (Array.isArray(self)) {
    return Array.isArray(that) && self.length === that.length && self.every((value, i) => sameValue(value, that[i]))
  }
  if (!isRecord(self) || !isRecord(that) || Array.isArray(that)) return false
  const names = Object.keys(self)
  return (
    names.length === Object.keys(that).length &&
    names.every((name) => Object.hasOwn(that, name) && sameValue(self[name], that[name]))
  )
}
