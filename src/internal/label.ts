/** The label under which usage and cost of a fiber are counted. */
import { Context } from "effect"

export class Label extends Context.Reference<Label>()("effect-llm/Label", {
  defaultValue: (): string => ""
}) {}
