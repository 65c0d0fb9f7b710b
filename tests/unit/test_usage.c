/*
 * Usage objects as the providers and gateways write them, each with where it is from and what it costs.  Drawn ones are
 * held against another reading in tests/model/test_usage_objects.py.
 */
#include "lines.h"
#include "unit.h"

#include "prices/usage.h"

#define OBJECT_MAX 2048

/* ' stands for ".  counts as counts_format writes them.  micros at 3, 0.3, 3.75, 6 and 15 dollars per million: 3 x input
 * + 0.3 x read + 3.75 x written + 6 x written for an hour + 15 x output, rounded up; audio and images as text. */
struct golden {
	const char *source, *usage, *counts;
	int64_t micros;
	bool counted, no_input;
	int64_t rest;
};

static int read_text(const char *quoted, struct usage *u)
{
	char text[OBJECT_MAX], error[JSON_ERROR_MAX];
	size_t length = strlen(quoted);
	struct json *usage;
	int result;

	assert_true(length < sizeof(text));
	for (size_t i = 0; i <= length; i++)
		text[i] = quoted[i] == '\'' ? '"' : quoted[i];
	usage = json_parse(text, length, false, error);
	assert_non_null(usage);
	result = usage_read(usage, u);
	json_free(usage);
	return result;
}

static int64_t cost_of(const struct counts *c)
{
	static const struct price_line lines[] = {
		LINE_OF(INPUT, 3000000),           LINE_OF(CACHE_READ, 300000),     LINE_OF(CACHE_WRITE, 3750000),
		LINE_OF(CACHE_WRITE_1H, 6000000),  LINE_OF(OUTPUT, 15000000),       LINE_OF(AUDIO_INPUT, 3000000),
		LINE_OF(AUDIO_CACHE_READ, 300000), LINE_OF(CITATION, 15000000),     LINE_OF(AUDIO_OUTPUT, 15000000),
		LINE_OF(IMAGE_OUTPUT, 15000000),   LINE_OF(VIDEO_OUTPUT, 15000000),
	};
	const struct price p = {.kind = PRICE_MODEL,
	                        .item = "m",
	                        .provider = "p",
	                        .terms = {1000000, 1000000, 10000},
	                        .lines = lines,
	                        .line_count = sizeof(lines) / sizeof(lines[0])};
	struct price_charge charge;

	assert_true(price_valid(&p));
	assert_true(price_of_use(&p, UNIT_MONEY, &(struct price_use){c, TIER_STANDARD, ""}, &charge));
	return charge.cost_micros;
}

static void test_golden_objects(void **state)
{
	static const struct golden table[] = {
		{"openai-python types/completion_usage.py",
	         "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':6000}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 0},
		{"openai-python, o1",
	         "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':6000,"
	         "'completion_tokens_details':{'reasoning_tokens':4990}}",
	         "inputTokens=1000,outputTokens=10,reasoningTokens=4990", 78000, true, false, 0},
		{"docs.x.ai consumption-and-rate-limits: reasoning beside",
	         "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':6000,"
	         "'completion_tokens_details':{'reasoning_tokens':4990}}",
	         "inputTokens=1000,outputTokens=10,reasoningTokens=4990", 78000, true, false, 0},
		{"BerriAI/litellm gateways of Gemini: thoughts in the total only",
	         "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':6000}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 4990},
		{"python-genai types.py UsageMetadata (Live)",
	         "{'promptTokenCount':1000,'responseTokenCount':5000,'totalTokenCount':6000}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 0},
		{"a misspelt member, covered by the total",
	         "{'prompt_tokens':1000,'completion_token':5000,'total_tokens':6000}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 5000},
		{"platform.claude.com compaction, Understanding usage",
	         "{'input_tokens':10,'output_tokens':10,'iterations':[{'type':'compaction',"
	         "'input_tokens':990,'output_tokens':4990},{'type':'message','input_tokens':10,"
	         "'output_tokens':10}]}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 0},
		{"all null is nothing", "{'prompt_tokens':null,'completion_tokens':null,'total_tokens':null}", "", 0,
	         false, false, 0},
		{"openai-python, cache",
	         "{'prompt_tokens':2006,'completion_tokens':300,'total_tokens':2306,'prompt_tokens_details':{"
	         "'cached_tokens':1920,'audio_tokens':0},'completion_tokens_details':{'reasoning_tokens':128,"
	         "'audio_tokens':0,'accepted_prediction_tokens':0,'rejected_prediction_tokens':0}}",
	         "inputTokens=86,cacheReadTokens=1920,outputTokens=172,reasoningTokens=128", 5334, true, false, 0},
		{"openrouter.ai usage accounting, cache_write_tokens",
	         "{'prompt_tokens':194,'completion_tokens':2,'total_tokens':196,'cost':0.95,'is_byok':false,"
	         "'cost_details':{'upstream_inference_cost':19},'prompt_tokens_details':{'cached_tokens':0,"
	         "'cache_write_tokens':100,'audio_tokens':0},'completion_tokens_details':{"
	         "'reasoning_tokens':0}}",
	         "inputTokens=94,cacheWriteTokens=100,outputTokens=2", 687, true, false, 0},
		{"openai-python, predicted outputs: rejected ones are in the completion",
	         "{'prompt_tokens':100,'completion_tokens':60,'total_tokens':160,"
	         "'completion_tokens_details':{'accepted_prediction_tokens':20,"
	         "'rejected_prediction_tokens':30}}",
	         "inputTokens=100,outputTokens=60", 1200, true, false, 0},
		{"openai-python, audio: parts of both",
	         "{'prompt_tokens':90,'completion_tokens':80,'total_tokens':170,'prompt_tokens_details':{"
	         "'audio_tokens':70,'text_tokens':20,'cached_tokens':0},'completion_tokens_details':{"
	         "'audio_tokens':60,'text_tokens':20}}",
	         "inputTokens=20,outputTokens=20,audioInputTokens=70,audioOutputTokens=60", 1470, true, false, 0},
		{"openai-python, embeddings", "{'prompt_tokens':8,'total_tokens':8}", "inputTokens=8", 24, true, false,
	         0},
		{"openai-python, details are null",
	         "{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15,'prompt_tokens_details':null,"
	         "'completion_tokens_details':null}",
	         "inputTokens=12,outputTokens=3", 81, true, false, 0},
		{"a client without total_tokens", "{'prompt_tokens':12,'completion_tokens':3}",
	         "inputTokens=12,outputTokens=3", 81, true, false, 0},
		{"php's json_encode of empty details",
	         "{'prompt_tokens':12,'completion_tokens':3,'total_tokens':15,'prompt_tokens_details':[]}",
	         "inputTokens=12,outputTokens=3", 81, true, false, 0},
		{"UKGovernmentBEIS/inspect_ai#5528's kind; Wei-Shaw/sub2api#5771",
	         "{'prompt_tokens':10120,'completion_tokens':1499,'total_tokens':14428,"
	         "'prompt_tokens_details':{'cached_tokens':128},'completion_tokens_details':{"
	         "'reasoning_tokens':2809}}",
	         "inputTokens=9992,cacheReadTokens=128,outputTokens=1499,reasoningTokens=2809", 94635, true, false, 0},
		{"vercel/ai#12425",
	         "{'prompt_tokens':12,'completion_tokens':1,'total_tokens':399,'num_sources_used':3,"
	         "'cost_in_usd_ticks':232856000,'completion_tokens_details':{'reasoning_tokens':386}}",
	         "inputTokens=12,outputTokens=1,reasoningTokens=386,searchCalls=3", 5841, true, false, 0},
		{"docs.x.ai prompt-caching: text_tokens includes the cache",
	         "{'prompt_tokens':125,'completion_tokens':48,'total_tokens':173,'prompt_tokens_details':{"
	         "'text_tokens':125,'audio_tokens':0,'image_tokens':0,'cached_tokens':98},"
	         "'completion_tokens_details':{'reasoning_tokens':0}}",
	         "inputTokens=27,cacheReadTokens=98,outputTokens=48", 831, true, false, 0},
		{"docs.x.ai, responses",
	         "{'input_tokens':125,'output_tokens':48,'total_tokens':173,'input_tokens_details':{"
	         "'cached_tokens':98},'output_tokens_details':{'reasoning_tokens':0}}",
	         "inputTokens=27,cacheReadTokens=98,outputTokens=48", 831, true, false, 0},
		{"xAI without its total: the reasoning cannot be a part",
	         "{'prompt_tokens':12,'completion_tokens':2,'completion_tokens_details':{"
	         "'reasoning_tokens':317}}",
	         "inputTokens=12,outputTokens=2,reasoningTokens=317", 4821, true, false, 0},
		{"openai-python types/responses/response_usage.py",
	         "{'input_tokens':36,'input_tokens_details':{'cached_tokens':6},'output_tokens':87,"
	         "'output_tokens_details':{'reasoning_tokens':50},'total_tokens':123}",
	         "inputTokens=30,cacheReadTokens=6,outputTokens=37,reasoningTokens=50", 1397, true, false, 0},
		{"response_usage.py, cache_write_tokens",
	         "{'input_tokens':100,'input_tokens_details':{'cached_tokens':10,'cache_write_tokens':30},"
	         "'output_tokens':1,'output_tokens_details':{'reasoning_tokens':0},'total_tokens':101}",
	         "inputTokens=60,cacheReadTokens=10,cacheWriteTokens=30,outputTokens=1", 311, true, false, 0},
		{"platform.openai.com realtime-conversations",
	         "{'total_tokens':541,'input_tokens':521,'output_tokens':20,'input_token_details':{"
	         "'text_tokens':292,'audio_tokens':229,'cached_tokens':192,'cached_tokens_details':{"
	         "'text_tokens':128,'audio_tokens':64}},'output_token_details':{'text_tokens':20,"
	         "'audio_tokens':0}}",
	         "inputTokens=164,cacheReadTokens=128,outputTokens=20,audioInputTokens=165,"
	         "audioCacheReadTokens=64",
	         1345, true, false, 0},
		{"openai-python types/images_response.py",
	         "{'total_tokens':100,'input_tokens':50,'output_tokens':50,'input_tokens_details':{"
	         "'text_tokens':10,'image_tokens':40}}",
	         "inputTokens=10,outputTokens=50,imageInputTokens=40", 900, true, false, 0},
		{"openai-python types/audio/transcription.py, tokens",
	         "{'type':'tokens','input_tokens':14,'input_token_details':{'text_tokens':0,"
	         "'audio_tokens':14},'output_tokens':45,'total_tokens':59}",
	         "outputTokens=45,audioInputTokens=14", 717, true, false, 0},
		{"transcription.py, duration: no token", "{'type':'duration','seconds':9}", "seconds=9", 0, true, false,
	         0},
		{"anthropic-sdk-python types/usage.py",
	         "{'input_tokens':21,'cache_creation_input_tokens':556,'cache_read_input_tokens':188086,"
	         "'cache_creation':{'ephemeral_5m_input_tokens':456,'ephemeral_1h_input_tokens':100},"
	         "'output_tokens':393,'service_tier':'standard','server_tool_use':null}",
	         "inputTokens=21,cacheReadTokens=188086,cacheWriteTokens=456,"
	         "cacheWrite1hTokens=100,outputTokens=393",
	         64694, true, false, 0},
		{"types/usage.py, no breakdown",
	         "{'input_tokens':21,'cache_creation_input_tokens':556,'cache_read_input_tokens':null,"
	         "'cache_creation':null,'output_tokens':393}",
	         "inputTokens=21,cacheWriteTokens=556,outputTokens=393", 8043, true, false, 0},
		{"types/usage.py, searches are not tokens",
	         "{'input_tokens':105,'output_tokens':6039,'cache_read_input_tokens':7123,"
	         "'cache_creation_input_tokens':7345,'server_tool_use':{'web_search_requests':1,"
	         "'web_fetch_requests':0}}",
	         "inputTokens=105,cacheReadTokens=7123,cacheWriteTokens=7345,outputTokens=6039,"
	         "searchCalls=1",
	         120581, true, false, 0},
		{"types/beta/beta_usage.py, thinking is in output_tokens",
	         "{'input_tokens':5,'output_tokens':70,'output_tokens_details':{'thinking_tokens':60},"
	         "'inference_geo':'us','speed':'fast','service_tier':'priority'}",
	         "inputTokens=5,outputTokens=70", 1065, true, false, 0},
		{"message_delta of a stream", "{'output_tokens':15}", "outputTokens=15", 225, true, true, 0},
		{"compaction, the documentation's figures",
	         "{'input_tokens':23000,'output_tokens':1000,'iterations':[{'type':'compaction',"
	         "'input_tokens':180000,'output_tokens':3500},{'type':'message','input_tokens':23000,"
	         "'output_tokens':1000}]}",
	         "inputTokens=203000,outputTokens=4500", 676500, true, false, 0},
		{"ccusage/ccusage#1552: a declined attempt and its fallback",
	         "{'input_tokens':2,'output_tokens':13658,'cache_creation_input_tokens':0,"
	         "'cache_read_input_tokens':79214,'iterations':[{'type':'message','model':'claude-fable-5',"
	         "'input_tokens':2,'output_tokens':578,'cache_creation_input_tokens':10421,"
	         "'cache_read_input_tokens':72769},{'type':'fallback_message','model':'claude-opus-4-8',"
	         "'input_tokens':2,'output_tokens':13658,'cache_creation_input_tokens':0,"
	         "'cache_read_input_tokens':79214}]}",
	         "inputTokens=4,cacheReadTokens=151983,cacheWriteTokens=10421,"
	         "outputTokens=14236",
	         298226, true, false, 0},
		{"beta_advisor_message_iteration_usage.py: with writes of an hour",
	         "{'input_tokens':10,'output_tokens':20,'cache_creation_input_tokens':0,"
	         "'cache_read_input_tokens':0,'iterations':[{'type':'message','input_tokens':10,"
	         "'output_tokens':20,'cache_creation_input_tokens':0,'cache_read_input_tokens':0},{"
	         "'type':'advisor_message','model':'m','input_tokens':100,'output_tokens':30,"
	         "'cache_read_input_tokens':5,'cache_creation_input_tokens':7,'cache_creation':{"
	         "'ephemeral_5m_input_tokens':3,'ephemeral_1h_input_tokens':4}}]}",
	         "inputTokens=110,cacheReadTokens=5,cacheWriteTokens=3,cacheWrite1hTokens=4,"
	         "outputTokens=50",
	         1117, true, false, 0},
		{"iterations that name less than the whole: the whole stands",
	         "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'iterations':[{"
	         "'type':'message','input_tokens':10,'output_tokens':20}]}",
	         "inputTokens=10,cacheReadTokens=500,outputTokens=20", 480, true, false, 0},
		{"iterations: [] and null are none",
	         "{'input_tokens':10,'output_tokens':20,'iterations':[],'cache_creation':null}",
	         "inputTokens=10,outputTokens=20", 330, true, false, 0},
		{"a gateway's total over Anthropic's shape",
	         "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'total_tokens':530}",
	         "inputTokens=10,cacheReadTokens=500,outputTokens=20", 480, true, false, 0},
		{"the same, without the cache (browser-use/browser-use#5685)",
	         "{'input_tokens':10,'output_tokens':20,'cache_read_input_tokens':500,'total_tokens':30}",
	         "inputTokens=10,cacheReadTokens=500,outputTokens=20", 480, true, false, 0},
		{"python-genai GenerateContentResponseUsageMetadata",
	         "{'promptTokenCount':1000,'cachedContentTokenCount':400,'toolUsePromptTokenCount':50,"
	         "'candidatesTokenCount':70,'thoughtsTokenCount':30,'totalTokenCount':1150,"
	         "'promptTokensDetails':[{'modality':'TEXT','tokenCount':1000}],'cacheTokensDetails':[{"
	         "'modality':'TEXT','tokenCount':400}],'candidatesTokensDetails':[{'modality':'TEXT',"
	         "'tokenCount':70}],'trafficType':'ON_DEMAND'}",
	         "inputTokens=650,cacheReadTokens=400,outputTokens=70,reasoningTokens=30", 3570, true, false, 0},
		{"Helicone/helicone#5604",
	         "{'promptTokenCount':15,'candidatesTokenCount':359,'totalTokenCount':1035,"
	         "'thoughtsTokenCount':661}",
	         "inputTokens=15,outputTokens=359,reasoningTokens=661", 15345, true, false, 0},
		{"simonw/llm-gemini#75, text and image",
	         "{'promptTokenCount':264,'candidatesTokenCount':104,'totalTokenCount':1357,"
	         "'thoughtsTokenCount':989,'promptTokensDetails':[{'modality':'TEXT','tokenCount':6},{"
	         "'modality':'IMAGE','tokenCount':258}]}",
	         "inputTokens=6,outputTokens=104,imageInputTokens=258,reasoningTokens=989", 17187, true, false, 0},
		{"BerriAI/litellm#10141: candidates include the thoughts",
	         "{'promptTokenCount':10,'candidatesTokenCount':120,'thoughtsTokenCount':100,"
	         "'totalTokenCount':130}",
	         "inputTokens=10,outputTokens=20,reasoningTokens=100", 1830, true, false, 0},
		{"router-for-me/CLIProxyAPI#5733: thoughts and no candidate",
	         "{'promptTokenCount':21,'thoughtsTokenCount':60,'totalTokenCount':81}",
	         "inputTokens=21,reasoningTokens=60", 963, true, false, 0},
		{"the same, through its OpenAI shape",
	         "{'completion_tokens':0,'total_tokens':81,'prompt_tokens':21,'completion_tokens_details':{"
	         "'reasoning_tokens':60}}",
	         "inputTokens=21,reasoningTokens=60", 963, true, false, 0},
		{"strands-agents/harness-sdk#3892",
	         "{'promptTokenCount':100,'candidatesTokenCount':20,'toolUsePromptTokenCount':5,"
	         "'thoughtsTokenCount':30,'totalTokenCount':155}",
	         "inputTokens=105,outputTokens=20,reasoningTokens=30", 1065, true, false, 0},
		{"Gemini's REST reference: tool results not in the total",
	         "{'promptTokenCount':100,'candidatesTokenCount':20,'toolUsePromptTokenCount':5,"
	         "'thoughtsTokenCount':30,'totalTokenCount':150}",
	         "inputTokens=105,outputTokens=20,reasoningTokens=30", 1065, true, false, 0},
		{"a prompt that was blocked", "{'promptTokenCount':7,'totalTokenCount':7}", "inputTokens=7", 21, true,
	         false, 0},
		{"without thoughts, which the total has",
	         "{'promptTokenCount':7477,'candidatesTokenCount':2060,'totalTokenCount':11476}",
	         "inputTokens=7477,outputTokens=3999", 82416, true, false, 1939},
		{"Live, with its details",
	         "{'promptTokenCount':50,'responseTokenCount':30,'thoughtsTokenCount':5,'totalTokenCount':85,"
	         "'promptTokensDetails':[{'modality':'AUDIO','tokenCount':50}],'responseTokensDetails':[{"
	         "'modality':'AUDIO','tokenCount':30}]}",
	         "audioInputTokens=50,reasoningTokens=5,audioOutputTokens=30", 675, true, false, 0},
		{"python-genai model_dump()",
	         "{'prompt_token_count':20,'candidates_token_count':198,'thoughts_token_count':405,"
	         "'total_token_count':623,'cached_content_token_count':null,'prompt_tokens_details':[{"
	         "'modality':'TEXT','token_count':20}]}",
	         "inputTokens=20,outputTokens=198,reasoningTokens=405", 9105, true, false, 0},
		{"api-docs.deepseek.com kv_cache",
	         "{'prompt_tokens':500,'completion_tokens':40,'total_tokens':540,"
	         "'prompt_cache_hit_tokens':320,'prompt_cache_miss_tokens':180}",
	         "inputTokens=180,cacheReadTokens=320,outputTokens=40", 1236, true, false, 0},
		{"DeepSeek, both spellings",
	         "{'prompt_tokens':500,'completion_tokens':40,'total_tokens':540,'prompt_tokens_details':{"
	         "'cached_tokens':320},'prompt_cache_hit_tokens':320,'prompt_cache_miss_tokens':180,"
	         "'completion_tokens_details':{'reasoning_tokens':30}}",
	         "inputTokens=180,cacheReadTokens=320,outputTokens=10,reasoningTokens=30", 1236, true, false, 0},
		{"Moonshot: cached_tokens beside the sums",
	         "{'prompt_tokens':19,'completion_tokens':21,'total_tokens':40,'cached_tokens':10}",
	         "inputTokens=9,cacheReadTokens=10,outputTokens=21", 345, true, false, 0},
		{"mistralai UsageInfo",
	         "{'prompt_tokens':19,'completion_tokens':21,'total_tokens':40,'prompt_audio_seconds':{},"
	         "'num_cached_tokens':null}",
	         "inputTokens=19,outputTokens=21", 372, true, false, 0},
		{"Mistral OCR: pages, no token", "{'pages_processed':3,'doc_size_bytes':1000}", "pages=3", 0, true,
	         false, 0},
		{"docs.perplexity.ai: citations and reasoning in the total",
	         "{'prompt_tokens':14,'completion_tokens':100,'total_tokens':1314,'citation_tokens':200,"
	         "'num_search_queries':3,'reasoning_tokens':1000,'search_context_size':'low','cost':{"
	         "'total_cost':0.01}}",
	         "inputTokens=14,outputTokens=100,reasoningTokens=1000,citationTokens=200,"
	         "searchCalls=3",
	         19542, true, false, 1200},
		{"groq: times are not counts",
	         "{'queue_time':0.03,'prompt_tokens':18,'prompt_time':0.0008,'completion_tokens':556,"
	         "'completion_time':0.46,'total_tokens':574,'total_time':0.46}",
	         "inputTokens=18,outputTokens=556", 8394, true, false, 0},
		{"LiteLLM types/utils.py Usage",
	         "{'prompt_tokens':2006,'completion_tokens':300,'total_tokens':2306,'prompt_tokens_details':{"
	         "'cached_tokens':1900,'cache_creation_tokens':6},'cache_creation_input_tokens':6,"
	         "'cache_read_input_tokens':1900}",
	         "inputTokens=100,cacheReadTokens=1900,cacheWriteTokens=6,outputTokens=300", 5393, true, false, 0},
		{"QuantumNous/new-api dto.Usage: the zeros of the other spelling",
	         "{'prompt_tokens':11,'completion_tokens':9,'total_tokens':20,'prompt_tokens_details':{"
	         "'cached_tokens':0,'text_tokens':3},'completion_tokens_details':{'text_tokens':0},"
	         "'input_tokens':0,'output_tokens':0,'input_tokens_details':null}",
	         "inputTokens=11,outputTokens=9", 168, true, false, 0},
		{"QuantumNous/new-api#1358", "{'completion_tokens':9,'prompt_tokens':11,'total_tokens':88}",
	         "inputTokens=11,outputTokens=77", 1188, true, false, 68},
		{"both spellings that agree",
	         "{'prompt_tokens':11,'completion_tokens':9,'total_tokens':20,'input_tokens':11,"
	         "'output_tokens':9}",
	         "inputTokens=11,outputTokens=9", 168, true, false, 0},
		{"browser-use/browser-use#5685: the total without the cache",
	         "{'prompt_tokens':994,'completion_tokens':40,'total_tokens':239,'prompt_tokens_details':{"
	         "'cached_tokens':795}}",
	         "inputTokens=199,cacheReadTokens=795,outputTokens=40", 1436, true, false, 0},
		{"BerriAI/litellm#13207: the total without reads and writes",
	         "{'prompt_tokens':141359,'completion_tokens':4156,'total_tokens':4244,"
	         "'prompt_tokens_details':{'cached_tokens':120269,'cache_creation_tokens':21002}}",
	         "inputTokens=88,cacheReadTokens=120269,cacheWriteTokens=21002,"
	         "outputTokens=4156",
	         177443, true, false, 0},
		{"Bedrock API_runtime_TokenUsage",
	         "{'inputTokens':10,'outputTokens':20,'totalTokens':130,'cacheReadInputTokens':60,"
	         "'cacheWriteInputTokens':40}",
	         "inputTokens=10,cacheReadTokens=60,cacheWriteTokens=40,outputTokens=20", 498, true, false, 0},
		{"Bedrock, cacheDetails by ttl",
	         "{'inputTokens':10,'outputTokens':20,'totalTokens':130,'cacheReadInputTokens':60,"
	         "'cacheWriteInputTokens':40,'cacheDetails':[{'ttl':'1h','inputTokens':30},{'ttl':'5m',"
	         "'inputTokens':10}]}",
	         "inputTokens=10,cacheReadTokens=60,cacheWriteTokens=10,cacheWrite1hTokens=30,"
	         "outputTokens=20",
	         566, true, false, 0},
		{"Bedrock without a cache", "{'inputTokens':30,'outputTokens':628,'totalTokens':658}",
	         "inputTokens=30,outputTokens=628", 9510, true, false, 0},
		{"maximhq/bifrost#6942: a stream that counts writes twice",
	         "{'inputTokens':4995,'outputTokens':19,'totalTokens':10007,'cacheWriteInputTokens':4993}",
	         "inputTokens=4995,cacheWriteTokens=4993,outputTokens=19", 33994, true, false, 0},
		{"ai-sdk.dev LanguageModelUsage",
	         "{'inputTokens':100,'outputTokens':50,'totalTokens':150,'reasoningTokens':20,"
	         "'cachedInputTokens':60}",
	         "inputTokens=40,cacheReadTokens=60,outputTokens=30,reasoningTokens=20", 888, true, false, 0},
		{"docs.cohere.com chat: only billed_units are billed",
	         "{'billed_units':{'input_tokens':5,'output_tokens':418},'tokens':{'input_tokens':71,"
	         "'output_tokens':418},'cached_tokens':64}",
	         "inputTokens=5,outputTokens=418", 6285, true, false, 0},
		{"Cohere without billed_units", "{'tokens':{'input_tokens':71,'output_tokens':418}}",
	         "inputTokens=71,outputTokens=418", 6483, true, false, 0},
		{"Cohere rerank: a search, no token", "{'billed_units':{'search_units':1}}", "queries=1", 0, true,
	         false, 0},
		{"Ollama docs/api.md",
	         "{'prompt_eval_count':26,'eval_count':298,'total_duration':10706818083,"
	         "'load_duration':6338219291,'eval_duration':4232710000}",
	         "inputTokens=26,outputTokens=298", 4548, true, false, 0},
		{"an object with nothing in it", "{}", "", 0, false, false, 0},
		{"all zero", "{'prompt_tokens':0,'completion_tokens':0,'total_tokens':0}", "", 0, false, false, 0},
		{"a total alone", "{'total_tokens':5}", "outputTokens=5", 75, true, false, 5},
		{"a prompt and a total", "{'prompt_tokens':1000,'total_tokens':6000}",
	         "inputTokens=1000,outputTokens=5000", 78000, true, false, 5000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char counts[COUNTS_TEXT_MAX];
		struct usage u;

		if (read_text(table[i].usage, &u) != 0)
			fail_msg("%s: refused, %s", table[i].source, u.field);
		counts_format(&u.counts, (enum dimension)0, counts);
		if (strcmp(counts, table[i].counts) != 0)
			fail_msg("%s: %s", table[i].source, counts);
		if (cost_of(&u.counts) != table[i].micros)
			fail_msg("%s: costs %lld", table[i].source, (long long)cost_of(&u.counts));
		if (u.counted != table[i].counted || u.no_input != table[i].no_input || u.rest != table[i].rest)
			fail_msg("%s: counted %d, no input %d, rest %lld", table[i].source, u.counted, u.no_input,
			         (long long)u.rest);
		assert_string_equal(u.field, "");
	}
}

#define NO_COST INT64_C(-1)

/* Members beyond the sums: modalities, durations, tiers, searches, pages, costs.  cost in pico-dollars. */
static void test_other_members(void **state)
{
	static const struct {
		const char *source, *usage, *counts;
		int tier;
		const char *variant;
		int64_t cost;
	} table[] = {
		/* 100 tokens of input are 20 of text, 30 of images, 50 of audio.  The cache takes them in this order. */
		{"completion_usage.py: a part of the text is cached",
	         "{'prompt_tokens':100,'completion_tokens':1,'prompt_tokens_details':{'cached_tokens':15,'text_tokens':20,"
	         "'image_tokens':30,'audio_tokens':50}}",
	         "inputTokens=5,cacheReadTokens=15,outputTokens=1,audioInputTokens=50,imageInputTokens=30", -1, "",
	         NO_COST},
		{"completion_usage.py: the text and half of the images",
	         "{'prompt_tokens':100,'completion_tokens':1,'prompt_tokens_details':{'cached_tokens':35,"
	         "'image_tokens':30,'audio_tokens':50}}",
	         "cacheReadTokens=35,outputTokens=1,audioInputTokens=50,imageInputTokens=15", -1, "", NO_COST},
		{"completion_usage.py: all but audio, and some of that",
	         "{'prompt_tokens':100,'completion_tokens':1,'prompt_tokens_details':{'audio_tokens':50,"
	         "'image_tokens':30,'cached_tokens':60}}",
	         "cacheReadTokens=50,outputTokens=1,audioInputTokens=40,audioCacheReadTokens=10", -1, "", NO_COST},
		{"completion_usage.py: everything is cached",
	         "{'prompt_tokens':100,'completion_tokens':1,'prompt_tokens_details':{'audio_tokens':50,"
	         "'image_tokens':30,'cached_tokens':100}}",
	         "cacheReadTokens=50,outputTokens=1,audioCacheReadTokens=50", -1, "", NO_COST},
		{"completion_usage.py: writes are text",
	         "{'prompt_tokens':100,'completion_tokens':1,'prompt_tokens_details':{'cached_tokens':5,"
	         "'cache_write_tokens':30,'audio_tokens':50}}",
	         "inputTokens=15,cacheReadTokens=5,cacheWriteTokens=30,outputTokens=1,audioInputTokens=50", -1, "",
	         NO_COST},
		{"realtime_response_usage.py: cached audio, and no other",
	         "{'input_tokens':100,'output_tokens':20,'total_tokens':120,'input_token_details':{'text_tokens':40,"
	         "'audio_tokens':60,'cached_tokens':50,'cached_tokens_details':{'audio_tokens':50,'text_tokens':0}},"
	         "'output_token_details':{'text_tokens':5,'audio_tokens':15}}",
	         "inputTokens=40,outputTokens=5,audioInputTokens=10,audioCacheReadTokens=50,audioOutputTokens=15", -1,
	         "", NO_COST},
		{"completion_usage.py: audio and reasoning of the completion",
	         "{'prompt_tokens':1,'completion_tokens':100,'completion_tokens_details':{'audio_tokens':60,"
	         "'reasoning_tokens':30,'accepted_prediction_tokens':4,'rejected_prediction_tokens':6}}",
	         "inputTokens=1,outputTokens=10,reasoningTokens=30,audioOutputTokens=60", -1, "", NO_COST},
		{"images_response.py: with the details of its output",
	         "{'input_tokens':50,'output_tokens':50,'total_tokens':100,'input_tokens_details':{'image_tokens':40,"
	         "'text_tokens':10},'output_tokens_details':{'image_tokens':45,'text_tokens':5}}",
	         "inputTokens=10,outputTokens=5,imageInputTokens=40,imageOutputTokens=45", -1, "", NO_COST},
		{"python-genai: each modality in, in several parts",
	         "{'promptTokenCount':150,'candidatesTokenCount':9,'totalTokenCount':159,'promptTokensDetails':["
	         "{'modality':'TEXT','tokenCount':10},{'modality':'AUDIO','tokenCount':20},"
	         "{'modality':'DOCUMENT','tokenCount':30},{'modality':'IMAGE','tokenCount':11},"
	         "{'modality':'VIDEO','tokenCount':40},{'modality':'MODALITY_UNSPECIFIED','tokenCount':5},"
	         "{'modality':'AUDIO','tokenCount':22},{'modality':'IMAGE','tokenCount':12}]}",
	         "inputTokens=85,outputTokens=9,audioInputTokens=42,imageInputTokens=23", -1, "", NO_COST},
		{"python-genai: each modality out, and thoughts",
	         "{'promptTokenCount':1,'candidatesTokenCount':65,'thoughtsTokenCount':7,'totalTokenCount':73,"
	         "'candidatesTokensDetails':[{'modality':'TEXT','tokenCount':5},{'modality':'AUDIO','tokenCount':10},"
	         "{'modality':'IMAGE','tokenCount':20},{'modality':'VIDEO','tokenCount':30}]}",
	         "inputTokens=1,outputTokens=5,reasoningTokens=7,audioOutputTokens=10,imageOutputTokens=20,"
	         "videoOutputTokens=30",
	         -1, "", NO_COST},
		{"python-genai: cached sound is of the sound",
	         "{'promptTokenCount':100,'cachedContentTokenCount':50,'candidatesTokenCount':1,'totalTokenCount':101,"
	         "'promptTokensDetails':[{'modality':'TEXT','tokenCount':40},{'modality':'AUDIO','tokenCount':60}],"
	         "'cacheTokensDetails':[{'modality':'AUDIO','tokenCount':30},{'modality':'TEXT','tokenCount':20}]}",
	         "inputTokens=20,cacheReadTokens=20,outputTokens=1,audioInputTokens=30,audioCacheReadTokens=30", -1, "",
	         NO_COST},
		{"python-genai: tool results by modality",
	         "{'promptTokenCount':10,'toolUsePromptTokenCount':20,'candidatesTokenCount':1,'totalTokenCount':31,"
	         "'promptTokensDetails':[{'modality':'TEXT','tokenCount':4},{'modality':'AUDIO','tokenCount':6}],"
	         "'toolUsePromptTokensDetails':[{'modality':'AUDIO','tokenCount':5},{'modality':'IMAGE','tokenCount':7},"
	         "{'modality':'TEXT','tokenCount':8}]}",
	         "inputTokens=12,outputTokens=1,audioInputTokens=11,imageInputTokens=7", -1, "", NO_COST},
		{"python-genai: model_dump() of sound, with what it leaves out",
	         "{'prompt_token_count':10,'candidates_token_count':3,'total_token_count':13,'prompt_tokens_details':["
	         "{'modality':'AUDIO','token_count':9},{'modality':'TEXT','token_count':null},{'modality':null,"
	         "'token_count':1}],'candidates_tokens_details':[{'modality':'AUDIO','token_count':3}]}",
	         "inputTokens=1,audioInputTokens=9,audioOutputTokens=3", -1, "", NO_COST},
		{"transcription.py, UsageDuration", "{'type':'duration','seconds':12.5}", "seconds=12.5", -1, "",
	         NO_COST},
		{"transcription.py: an exponent", "{'type':'duration','seconds':1.25e1}", "seconds=12.5", -1, "",
	         NO_COST},
		{"transcription.py: the seventh decimal", "{'seconds':0.0000005}", "seconds=0.000001", -1, "", NO_COST},
		{"transcription.py: as long as is counted", "{'seconds':1000000000}", "seconds=1000000000", -1, "",
	         NO_COST},
		{"usageinfo.py: seconds beside the tokens",
	         "{'prompt_tokens':10,'completion_tokens':5,'total_tokens':15,'prompt_audio_seconds':37}",
	         "inputTokens=10,outputTokens=5,seconds=37", -1, "", NO_COST},
		{"ocrusageinfo.py", "{'pages_processed':29,'doc_size_bytes':null}", "pages=29", -1, "", NO_COST},
		{"OpenAI's service_tier: default", "{'input_tokens':1,'output_tokens':1,'service_tier':'default'}",
	         "inputTokens=1,outputTokens=1", TIER_STANDARD, "", NO_COST},
		{"OpenAI's service_tier: scale", "{'service_tier':'scale','input_tokens':1,'output_tokens':1}",
	         "inputTokens=1,outputTokens=1", TIER_STANDARD, "", NO_COST},
		{"OpenAI's service_tier: flex", "{'input_tokens':1,'output_tokens':1,'service_tier':'flex'}",
	         "inputTokens=1,outputTokens=1", TIER_FLEX, "", NO_COST},
		{"Anthropic's service_tier: standard", "{'input_tokens':1,'output_tokens':1,'service_tier':'standard'}",
	         "inputTokens=1,outputTokens=1", TIER_STANDARD, "", NO_COST},
		{"Anthropic's service_tier: priority", "{'input_tokens':1,'output_tokens':1,'service_tier':'priority'}",
	         "inputTokens=1,outputTokens=1", TIER_PRIORITY, "", NO_COST},
		{"Anthropic's service_tier: batch", "{'input_tokens':1,'output_tokens':1,'service_tier':'batch'}",
	         "inputTokens=1,outputTokens=1", TIER_BATCH, "", NO_COST},
		{"a tier that is null", "{'input_tokens':1,'output_tokens':1,'service_tier':null}",
	         "inputTokens=1,outputTokens=1", -1, "", NO_COST},
		{"a tier that was asked for", "{'input_tokens':1,'output_tokens':1,'service_tier':'auto'}",
	         "inputTokens=1,outputTokens=1", -1, "", NO_COST},
		{"a tier that is not known", "{'input_tokens':1,'output_tokens':1,'service_tier':'batches'}",
	         "inputTokens=1,outputTokens=1", TIER_OTHER, "", NO_COST},
		{"python-genai UsageMetadata: service_tier", "{'promptTokenCount':9,'serviceTier':'priority'}",
	         "inputTokens=9", TIER_PRIORITY, "", NO_COST},
		{"python-genai TrafficType: priority", "{'promptTokenCount':9,'trafficType':'ON_DEMAND_PRIORITY'}",
	         "inputTokens=9", TIER_PRIORITY, "", NO_COST},
		{"python-genai TrafficType: flex", "{'prompt_token_count':9,'traffic_type':'ON_DEMAND_FLEX'}",
	         "inputTokens=9", TIER_FLEX, "", NO_COST},
		{"python-genai TrafficType: provisioned",
	         "{'promptTokenCount':9,'trafficType':'PROVISIONED_THROUGHPUT','serviceTier':'standard'}",
	         "inputTokens=9", TIER_STANDARD, "", NO_COST},
		{"python-genai TrafficType: not said",
	         "{'promptTokenCount':9,'trafficType':'TRAFFIC_TYPE_UNSPECIFIED'}", "inputTokens=9", -1, "", NO_COST},
		{"BerriAI/litellm#38985: annotated pages",
	         "{'pages_processed':0,'pages_processed_annotation':3,'doc_size_bytes':4096}", "annotationPages=3", -1,
	         "", NO_COST},
		{"two durations that agree", "{'seconds':37.5,'prompt_audio_seconds':'37.50'}", "seconds=37.5", -1, "",
	         NO_COST},
		{"a tier alone is no usage", "{'service_tier':'flex'}", "", TIER_FLEX, "", NO_COST},
		{"types/server_tool_usage.py: only searches have a price",
	         "{'input_tokens':9,'output_tokens':8,'server_tool_use':{'web_search_requests':3,'web_fetch_requests':5,"
	         "'code_execution_requests':2}}",
	         "inputTokens=9,outputTokens=8,searchCalls=3", -1, "", NO_COST},
		{"docs.perplexity.ai: deep research, all beside the total",
	         "{'prompt_tokens':33,'completion_tokens':7163,'total_tokens':7196,'citation_tokens':20016,"
	         "'num_search_queries':18,'reasoning_tokens':73997,'search_context_size':'high'}",
	         "inputTokens=33,outputTokens=7163,reasoningTokens=73997,citationTokens=20016,searchCalls=18", -1,
	         "context=high", NO_COST},
		{"docs.perplexity.ai: reasoning without citations",
	         "{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12,'num_search_queries':1,'reasoning_tokens':900}",
	         "inputTokens=5,outputTokens=7,reasoningTokens=900,searchCalls=1", -1, "", NO_COST},
		{"docs.anthropic.com: fast mode, in the US",
	         "{'input_tokens':5,'output_tokens':7,'speed':'fast','inference_geo':'us'}",
	         "inputTokens=5,outputTokens=7", -1, "region=us/speed=fast", NO_COST},
		{"docs.anthropic.com: as usual",
	         "{'input_tokens':5,'output_tokens':7,'speed':'standard','inference_geo':'not_available'}",
	         "inputTokens=5,outputTokens=7", -1, "", NO_COST},
		{"no region that could be a price's",
	         "{'input_tokens':5,'output_tokens':7,'speed':'Fast!','inference_geo':'a-region-far-too-long'}",
	         "inputTokens=5,outputTokens=7", -1, "", NO_COST},
		{"docs.perplexity.ai: a size, and the sum of its costs",
	         "{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12,'search_context_size':'low','cost':{"
	         "'input_tokens_cost':0.000005,'request_cost':0.005,'total_cost':0.005012}}",
	         "inputTokens=5,outputTokens=7,searchCalls=1", -1, "context=low", INT64_C(5012000000)},
		{"docs.x.ai live-search",
	         "{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12,'num_sources_used':4}",
	         "inputTokens=5,outputTokens=7,searchCalls=4", -1, "", NO_COST},
		{"docs.x.ai tools: an answer of a public log",
	         "{'input_tokens':13181,'input_tokens_details':{'cached_tokens':3072},'output_tokens':4005,"
	         "'output_tokens_details':{'reasoning_tokens':0},'total_tokens':17186,'num_sources_used':0,"
	         "'num_server_side_tools_used':5,'cost_in_usd_ticks':482631500,'server_side_tool_usage_details':{"
	         "'web_search_calls':0,'x_search_calls':5,'code_interpreter_calls':0,'file_search_calls':0,'mcp_calls':0,"
	         "'document_search_calls':0,'image_generation_calls':0},'context_details':{'input_tokens':11591,"
	         "'output_tokens':3711}}",
	         "inputTokens=10109,cacheReadTokens=3072,outputTokens=4005,searchCalls=5", -1, "", NO_COST},
		{"docs.x.ai tools: each of them",
	         "{'input_tokens':1,'output_tokens':1,'num_sources_used':4,'server_side_tool_usage_details':{"
	         "'web_search_calls':1,'x_search_calls':2,'code_interpreter_calls':3,'file_search_calls':4,'mcp_calls':5,"
	         "'document_search_calls':6,'image_generation_calls':7}}",
	         "inputTokens=1,outputTokens=1,images=7,searchCalls=13,sessions=3", -1, "", NO_COST},
		{"ai 6 LanguageModelUsage: the details",
	         "{'inputTokens':2050,'outputTokens':140,'totalTokens':2190,'cachedInputTokens':250,'inputTokenDetails':{"
	         "'noCacheTokens':1700,'cacheReadTokens':250,'cacheWriteTokens':100},'outputTokenDetails':{"
	         "'textTokens':100,'reasoningTokens':40}}",
	         "inputTokens=1700,cacheReadTokens=250,cacheWriteTokens=100,outputTokens=100,reasoningTokens=40", -1,
	         "", NO_COST},
		{"a modality in small letters",
	         "{'promptTokenCount':100,'promptTokensDetails':[{'modality':'audio','tokenCount':90}]}",
	         "inputTokens=10,audioInputTokens=90", -1, "", NO_COST},
		{"docs.cohere.com: rerank and classify", "{'billed_units':{'search_units':2,'classifications':3}}",
	         "queries=5", -1, "", NO_COST},
		{"docs.cohere.com: embed with images",
	         "{'billed_units':{'images':2,'input_tokens':9,'search_units':0}}", "inputTokens=9,inputImages=2", -1,
	         "", NO_COST},
		{"openrouter.ai usage accounting",
	         "{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12,'cost':0.00014,'is_byok':false,"
	         "'cost_details':{'upstream_inference_cost':null}}",
	         "inputTokens=5,outputTokens=7", -1, "", 140000000},
		{"openrouter.ai: the platform's own key at the provider, and the fee",
	         "{'prompt_tokens':5,'completion_tokens':7,'cost':0.00014,'is_byok':true,"
	         "'cost_details':{'upstream_inference_cost':0.0028}}",
	         "inputTokens=5,outputTokens=7", -1, "", INT64_C(2940000000)},
		{"openrouter.ai: the same in another order",
	         "{'cost_details':{'upstream_inference_cost':0.0028},'is_byok':true,'cost':0,'prompt_tokens':5,"
	         "'completion_tokens':7}",
	         "inputTokens=5,outputTokens=7", -1, "", INT64_C(2800000000)},
		{"openrouter.ai: a fee alone is no cost",
	         "{'prompt_tokens':5,'completion_tokens':7,'cost':0.00014,'is_byok':true,"
	         "'cost_details':{'upstream_inference_cost':null}}",
	         "inputTokens=5,outputTokens=7", -1, "", NO_COST},
		{"openrouter.ai: whose key it was is no flag",
	         "{'prompt_tokens':5,'completion_tokens':7,'cost':0.00014,'is_byok':'true'}",
	         "inputTokens=5,outputTokens=7", -1, "", NO_COST},
		{"openrouter.ai: upstream's cost with OpenRouter's key is the same money",
	         "{'prompt_tokens':5,'completion_tokens':7,'cost':0.0028,'is_byok':false,"
	         "'cost_details':{'upstream_inference_cost':0.0028}}",
	         "inputTokens=5,outputTokens=7", -1, "", INT64_C(2800000000)},
		{"openrouter.ai: an exponent", "{'prompt_tokens':5,'completion_tokens':7,'cost':9.529e-05}",
	         "inputTokens=5,outputTokens=7", -1, "", 95290000},
		{"openrouter.ai: a free model", "{'prompt_tokens':5,'completion_tokens':7,'cost':0}",
	         "inputTokens=5,outputTokens=7", -1, "", 0},
		{"openrouter.ai: dollars, and beyond a pico-dollar",
	         "{'prompt_tokens':5,'completion_tokens':7,"
	         "'cost':2.0000000000005}",
	         "inputTokens=5,outputTokens=7", -1, "", INT64_C(2000000000001)},
		{"openrouter.ai: no cost", "{'prompt_tokens':5,'completion_tokens':7,'cost':null}",
	         "inputTokens=5,outputTokens=7", -1, "", NO_COST},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char counts[COUNTS_TEXT_MAX];
		struct usage u;

		if (read_text(table[i].usage, &u) != 0)
			fail_msg("%s: refused, %s", table[i].source, u.field);
		counts_format(&u.counts, (enum dimension)0, counts);
		if (strcmp(counts, table[i].counts) != 0)
			fail_msg("%s: %s", table[i].source, counts);
		if (u.tier != table[i].tier || strcmp(u.variant, table[i].variant) != 0)
			fail_msg("%s: tier %d, variant %s", table[i].source, u.tier, u.variant);
		if ((u.has_cost ? u.cost_pico : NO_COST) != table[i].cost)
			fail_msg("%s: costs %lld", table[i].source, (long long)u.cost_pico);
		assert_int_equal(u.counted, counts[0] != '\0');
		assert_int_equal(u.rest, 0);
		assert_false(u.no_input);
	}
}

static void test_refusals_name_the_member(void **state)
{
	static const struct {
		const char *why, *usage, *field;
	} table[] = {
		{"two shapes that disagree",
	         "{'prompt_tokens':0,'completion_tokens':0,'input_tokens':1000,'output_tokens':5000}", "input_tokens"},
		{"two shapes, one of which has an output only",
	         "{'prompt_tokens':1000,'completion_tokens':10,'output_tokens':5000}", "output_tokens"},
		{"Gemini's and OpenAI's",
	         "{'prompt_tokens':10,'completion_tokens':10,'promptTokenCount':1000,"
	         "'candidatesTokenCount':10}",
	         "promptTokenCount"},
		{"candidates and a response",
	         "{'promptTokenCount':10,'candidatesTokenCount':1,'responseTokenCount':5000}", "responseTokenCount"},
		{"two totals", "{'prompt_tokens':10,'completion_tokens':1,'total_tokens':11,'totalTokens':5000}",
	         "totalTokens"},
		{"two caches",
	         "{'prompt_tokens':500,'completion_tokens':1,'prompt_tokens_details':{'cached_tokens':20},"
	         "'prompt_cache_hit_tokens':400}",
	         "prompt_cache_hit_tokens"},
		{"a cache that is inside and beside",
	         "{'input_tokens':5,'input_tokens_details':{'cached_tokens':1},'cache_read_input_tokens':1}",
	         "cache_read_input_tokens"},
		{"a misspelt count, no total", "{'prompt_tokens':1000,'completion_token':5000}", "completion_token"},
		{"a misspelt count as text", "{'prompt_tokens':1000,'completion_token':'5000'}", "completion_token"},
		{"a misspelt count with a fraction", "{'prompt_tokens':1000,'completion_token':5000.0}",
	         "completion_token"},
		{"a misspelt count without the word", "{'prompt_tokens':1000,'completions':5000}", "completions"},
		{"a new count of Anthropic's shape, which has no total",
	         "{'input_tokens':10,'output_tokens':10,'video_tokens':5000}", "video_tokens"},
		{"a count in a record that is not known",
	         "{'input_tokens':10,'output_tokens':10,'advisor':{'input_tokens':5000}}", "advisor"},
		{"a count among what are no tokens",
	         "{'input_tokens':10,'output_tokens':10,'server_tool_use':{'web_search_requests':1,"
	         "'output_tokens':5000}}",
	         "server_tool_use"},
		{"a count in a list that is not known",
	         "{'input_tokens':10,'output_tokens':10,'steps':[{'n':[{'tokens':5000}]}]}", "steps"},
		{"writes of another time",
	         "{'input_tokens':10,'output_tokens':10,'cache_creation':{'ephemeral_24h_input_tokens':50}}",
	         "cache_creation"},
		{"a count that is larger than the total",
	         "{'prompt_tokens':1000,'completion_tokens':0,'completion_token':5000,'total_tokens':1000}",
	         "completion_token"},
		{"a total below its parts", "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':1000}",
	         "total_tokens"},
		{"a total of zero", "{'prompt_tokens':1000,'completion_tokens':5000,'total_tokens':0}", "total_tokens"},
		{"Gemini's total below its parts",
	         "{'promptTokenCount':10,'candidatesTokenCount':10,'thoughtsTokenCount':100,"
	         "'totalTokenCount':50}",
	         "totalTokenCount"},
		{"reasoning that no total has",
	         "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':1010,"
	         "'completion_tokens_details':{'reasoning_tokens':4990}}",
	         "completion_tokens_details"},
		{"audio beyond the completion",
	         "{'prompt_tokens':1000,'completion_tokens':10,'total_tokens':1010,"
	         "'completion_tokens_details':{'audio_tokens':4990}}",
	         "completion_tokens_details"},
		{"audio beyond the prompt",
	         "{'prompt_tokens':10,'completion_tokens':10,'prompt_tokens_details':{'audio_tokens':4990}}",
	         "prompt_tokens_details"},
		{"modalities beyond their sum",
	         "{'promptTokenCount':10,'candidatesTokenCount':10,'totalTokenCount':20,"
	         "'promptTokensDetails':[{'modality':'TEXT','tokenCount':10},{'modality':'AUDIO',"
	         "'tokenCount':5000}]}",
	         "promptTokensDetails"},
		{"hits and misses beyond the prompt",
	         "{'prompt_tokens':10,'completion_tokens':1,'prompt_cache_hit_tokens':5,"
	         "'prompt_cache_miss_tokens':5000}",
	         "prompt_cache_miss_tokens"},
		{"a cache beyond the prompt", "{'prompt_tokens':1,'prompt_tokens_details':{'cached_tokens':2}}",
	         "prompt_tokens_details"},
		{"a cache beyond Gemini's prompt", "{'promptTokenCount':1,'cachedContentTokenCount':2}",
	         "cachedContentTokenCount"},
		{"an hour beyond all writes",
	         "{'input_tokens':1,'cache_creation_input_tokens':1,'cache_creation':{"
	         "'ephemeral_1h_input_tokens':2}}",
	         "cache_creation"},
		{"iterations that are none", "{'input_tokens':1,'output_tokens':1,'iterations':[5]}", "iterations"},
		{"iterations with a count that is none",
	         "{'input_tokens':1,'output_tokens':1,'iterations':[{'input_tokens':-5000}]}", "iterations"},
		{"iterations in iterations",
	         "{'input_tokens':1,'output_tokens':1,'iterations':[{'iterations':[{'input_tokens':1}]}]}",
	         "iterations"},
		{"negative", "{'prompt_tokens':-1,'completion_tokens':1}", "prompt_tokens"},
		{"a fraction", "{'prompt_tokens':1,'completion_tokens':1.0}", "completion_tokens"},
		{"an exponent", "{'prompt_tokens':1,'completion_tokens':1e3}", "completion_tokens"},
		{"beyond counting", "{'prompt_tokens':1000000001}", "prompt_tokens"},
		{"true", "{'prompt_tokens':true}", "prompt_tokens"},
		{"text", "{'prompt_tokens':'1'}", "prompt_tokens"},
		{"a negative total", "{'prompt_tokens':1,'completion_tokens':1,'total_tokens':-2}", "total_tokens"},
		{"a negative part",
	         "{'prompt_tokens':1,'completion_tokens':1,'completion_tokens_details':{'audio_tokens':-1}}",
	         "audio_tokens"},
		{"a negative reading", "{'input_tokens':1,'cache_read_input_tokens':-2}", "cache_read_input_tokens"},
		{"a negative count that is not known", "{'input_tokens':1,'output_tokens':1,'audio_tokens':-2}",
	         "audio_tokens"},
		{"details that are no record", "{'prompt_tokens':5,'prompt_tokens_details':7}",
	         "prompt_tokens_details"},
		{"two tiers", "{'promptTokenCount':1,'serviceTier':'priority','trafficType':'ON_DEMAND'}",
	         "trafficType"},
		{"one that is not known beside one that is",
	         "{'input_tokens':1,'output_tokens':1,'service_tier':'flex','trafficType':'ULTRA'}", "trafficType"},
		{"searches less than none",
	         "{'input_tokens':1,'output_tokens':1,'server_side_tool_usage_details':{'x_search_calls':-5}}",
	         "x_search_calls"},
		{"more new tokens than there were",
	         "{'inputTokens':5,'outputTokens':1,'inputTokenDetails':{'noCacheTokens':6}}", "inputTokenDetails"},
		{"two durations", "{'seconds':3600,'prompt_audio_seconds':1}", "prompt_audio_seconds"},
		{"two durations, the short one first", "{'prompt_audio_seconds':0,'seconds':3600}", "seconds"},
		{"half an annotated page", "{'pages_processed':1,'pages_processed_annotation':0.5}",
	         "pages_processed_annotation"},
		{"an own cost below 0", "{'prompt_tokens':1,'cost_details':{'upstream_inference_cost':-1}}",
	         "cost_details"},
		{"an own cost in words", "{'prompt_tokens':1,'cost_details':{'upstream_inference_cost':'much'}}",
	         "cost_details"},
		{"tokens beside an own cost", "{'prompt_tokens':1,'cost_details':{'new_tokens':5}}", "cost_details"},
		{"costs beyond counting",
	         "{'prompt_tokens':1,'is_byok':true,'cost':9000000,'cost_details':{'upstream_inference_cost':9000000}}",
	         "cost"},
		{"a tier that is no text", "{'input_tokens':1,'output_tokens':1,'service_tier':1}", "service_tier"},
		{"a tier of no letters", "{'input_tokens':1,'output_tokens':1,'service_tier':''}", "service_tier"},
		{"seconds below 0", "{'seconds':-0.5}", "seconds"},
		{"seconds beyond counting", "{'seconds':1000000000.000001}", "seconds"},
		{"seconds in words", "{'seconds':'nine'}", "seconds"},
		{"seconds that are true", "{'seconds':true}", "seconds"},
		{"seconds in a list", "{'seconds':[9]}", "seconds"},
		{"seconds with tokens inside",
	         "{'prompt_tokens':1,'completion_tokens':1,'prompt_audio_seconds':{'audio_tokens':5}}",
	         "prompt_audio_seconds"},
		{"half a page", "{'pages_processed':0.5}", "pages_processed"},
		{"a search less than none",
	         "{'input_tokens':1,'output_tokens':1,'server_tool_use':{'web_search_requests':-1}}",
	         "web_search_requests"},
		{"half a search", "{'prompt_tokens':1,'completion_tokens':1,'num_search_queries':1.5}",
	         "num_search_queries"},
		{"searches that differ",
	         "{'prompt_tokens':1,'completion_tokens':1,'num_search_queries':1,'num_sources_used':2}",
	         "num_sources_used"},
		{"searches in words", "{'prompt_tokens':1,'completion_tokens':1,'num_sources_used':'2'}",
	         "num_sources_used"},
		{"a size with a blank", "{'prompt_tokens':1,'completion_tokens':1,'search_context_size':'very high'}",
	         "search_context_size"},
		{"a size that goes on",
	         "{'prompt_tokens':1,'completion_tokens':1,'search_context_size':'0123456789012345678901234567890123456789'}",
	         "search_context_size"},
		{"citations less than none", "{'prompt_tokens':1,'completion_tokens':1,'citation_tokens':-1}",
	         "citation_tokens"},
		{"citations beyond counting", "{'prompt_tokens':1,'completion_tokens':1,'citation_tokens':1000000001}",
	         "citation_tokens"},
		{"search units less than none", "{'billed_units':{'search_units':-1}}", "search_units"},
		{"half a classification", "{'billed_units':{'classifications':0.5}}", "classifications"},
		{"images in words", "{'billed_units':{'images':'2'}}", "images"},
		{"a cost below 0", "{'prompt_tokens':1,'completion_tokens':1,'cost':-0.000000000001}", "cost"},
		{"a cost that is true", "{'prompt_tokens':1,'completion_tokens':1,'cost':true}", "cost"},
		{"a cost in words", "{'prompt_tokens':1,'completion_tokens':1,'cost':'free'}", "cost"},
		{"a cost beyond counting", "{'prompt_tokens':1,'completion_tokens':1,'cost':1e9}", "cost"},
		{"a sum of costs below 0", "{'prompt_tokens':1,'completion_tokens':1,'cost':{'total_cost':-1}}",
	         "cost"},
		{"more cached audio than is cached",
	         "{'input_tokens':100,'output_tokens':1,'input_token_details':{'audio_tokens':50,'cached_tokens':5,"
	         "'cached_tokens_details':{'audio_tokens':6}}}",
	         "input_token_details"},
		{"more cached audio than audio",
	         "{'input_tokens':100,'output_tokens':1,'input_token_details':{'audio_tokens':5,'cached_tokens':50,"
	         "'cached_tokens_details':{'audio_tokens':6}}}",
	         "input_token_details"},
		{"more cached sound than is cached",
	         "{'promptTokenCount':100,'cachedContentTokenCount':5,'candidatesTokenCount':1,'totalTokenCount':101,"
	         "'promptTokensDetails':[{'modality':'AUDIO','tokenCount':50}],"
	         "'cacheTokensDetails':[{'modality':'AUDIO','tokenCount':6}]}",
	         "cacheTokensDetails"},
		{"images beyond the input",
	         "{'input_tokens':10,'output_tokens':1,'total_tokens':11,'input_tokens_details':{'image_tokens':11}}",
	         "input_tokens_details"},
		{"images beyond the output",
	         "{'input_tokens':10,'output_tokens':1,'total_tokens':11,'output_tokens_details':{'image_tokens':2}}",
	         "output_tokens_details"},
		{"film beyond the output",
	         "{'promptTokenCount':10,'candidatesTokenCount':10,'totalTokenCount':20,"
	         "'candidatesTokensDetails':[{'modality':'VIDEO','tokenCount':11}]}",
	         "candidatesTokensDetails"},
		{"tool results beyond all of the input",
	         "{'promptTokenCount':10,'toolUsePromptTokenCount':5,'candidatesTokenCount':1,'totalTokenCount':16,"
	         "'toolUsePromptTokensDetails':[{'modality':'AUDIO','tokenCount':16}]}",
	         "toolUsePromptTokensDetails"},
		{"half a token of a modality",
	         "{'promptTokenCount':10,'candidatesTokenCount':1,'totalTokenCount':11,"
	         "'promptTokensDetails':[{'modality':'AUDIO','tokenCount':1.5}]}",
	         "promptTokensDetails"},
		{"less than no token of a modality",
	         "{'promptTokenCount':10,'candidatesTokenCount':1,'totalTokenCount':11,"
	         "'candidatesTokensDetails':[{'modality':'AUDIO','tokenCount':-1}]}",
	         "candidatesTokensDetails"},
		{"a part of the output less than none",
	         "{'prompt_tokens':1,'completion_tokens':1,'completion_tokens_details':{'video_tokens':-1}}",
	         "video_tokens"},
		{"a sum beyond counting", "{'promptTokenCount':1000000000,'toolUsePromptTokenCount':1}", "usage"},
		{"a shape of nobody's", "{'something':'else'}", "usage"},
		{"a list", "[]", "usage"},
		{"the answer instead of its usage", "{'usage':{'prompt_tokens':5,'completion_tokens':5}}", "usage"},
		{"tokens without more", "{'tokens':5}", "tokens"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct usage u;

		if (read_text(table[i].usage, &u) == 0)
			fail_msg("%s: taken", table[i].why);
		if (strcmp(u.field, table[i].field) != 0)
			fail_msg("%s: refused for %s", table[i].why, u.field);
	}
}

/* The name is the caller's: it is not repeated where it is no plain name. */
static void test_names_that_are_no_names(void **state)
{
	static const char *const names[] = {"a token\\n", "<token>", "", "\\u00e9token",
	                                    "token_of_a_name_that_goes_on_and_on_and_on_and_on_and_on_and_on_x"};
	char text[OBJECT_MAX];
	struct usage u;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "{'input_tokens':1,'%s':5}", names[i]);
		assert_int_equal(read_text(text, &u), -1);
		assert_string_equal(u.field, "usage");
	}
}

static void test_no_usage_at_all(void **state)
{
	struct usage u;

	(void)state;
	assert_int_equal(usage_read(NULL, &u), -1);
	assert_string_equal(u.field, "usage");
}

/* As many iterations as are taken, and one more. */
static void test_many_iterations(void **state)
{
	static const char entry[] = "{\"output_tokens\":2}";
	char error[JSON_ERROR_MAX];

	(void)state;
	for (int count = 1000; count <= 1001; count++) {
		struct buf text;
		struct json *usage;
		struct usage u;

		buf_init(&text, 65536);
		buf_add_text(&text, "{\"output_tokens\":1,\"iterations\":[");
		for (int i = 0; i < count; i++) {
			buf_add_text(&text, i > 0 ? "," : "");
			buf_add_text(&text, entry);
		}
		buf_add_text(&text, "]}");
		usage = json_parse(buf_text(&text), text.length, false, error);
		assert_non_null(usage);
		assert_int_equal(usage_read(usage, &u), count == 1000 ? 0 : -1);
		if (count == 1000)
			assert_int_equal(u.counts.of[DIMENSION_OUTPUT], 2000);
		json_free(usage);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_objects),           cmocka_unit_test(test_other_members),
		cmocka_unit_test(test_refusals_name_the_member), cmocka_unit_test(test_names_that_are_no_names),
		cmocka_unit_test(test_no_usage_at_all),          cmocka_unit_test(test_many_iterations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
