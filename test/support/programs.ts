/** The programs of `LLM` with the `LLM` as an argument, for tests that have several. */
import * as Objects from "../../src/programs/structuredOutput/generate.js"
import * as Loop from "../../src/programs/tools/loop.js"
import type * as Tool from "../../src/programs/tools/model.js"
import type * as ToolLoop from "../../src/programs/ToolLoop.js"
import type { Service } from "../../src/call/model.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"

export const runTools = <const Tools extends ReadonlyArray<Tool.Any>, Failing extends ToolLoop.OnFailure = "fail">(
  llm: Pick<Service, "chat">,
  request: ChatRequest.Input,
  options: ToolLoop.Options<Tools, Failing>
) => Loop.run(request, options)(llm)

export const runToolsStream = <
  const Tools extends ReadonlyArray<Tool.Any>,
  Failing extends ToolLoop.OnFailure = "fail"
>(
  llm: Pick<Service, "chatStream">,
  request: ChatRequest.Input,
  options: ToolLoop.Options<Tools, Failing>
) => Loop.stream(request, options)(llm)

export const generateObject = Objects.generate

export const streamObject = Objects.stream
