/** The name under which what a fiber does is counted. */
import { Context } from "effect"

export class Label extends Context.Reference<Label>()("effect-llm/Label", {
  defaultValue: (): string => ""
}) {}
