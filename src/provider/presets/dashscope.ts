/** Endpoints of DashScope, with the documentation as the source. */
import type { Dialect } from "../../wire/dashscope/dialect.js"
import type { Preset } from "../client.js"

export const presets = {
  /** https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope: mainland China. */
  beijing: { provider: "dashscope", baseUrl: "https://dashscope.aliyuncs.com/api/v1" },
  /** https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope: outside of mainland China, with separate keys. */
  singapore: { provider: "dashscope-intl", baseUrl: "https://dashscope-intl.aliyuncs.com/api/v1" },
  /** The same page. */
  virginia: { provider: "dashscope-us", baseUrl: "https://dashscope-us.aliyuncs.com/api/v1" }
} as const satisfies Record<string, Preset<Dialect>>
