/**
 * Patterns of English negation. They match sentences in lower case without apostrophes, in which "dont" and its kind are "do not", each
 * name is one character of the private use area, and a bar is between clauses that say different things. Those of what is before a name end
 * with it; those of what is after begin with it.
 */

/** A name in a masked sentence, or a pronoun in the place of one. */
export const PRONOUN = "\uf8ff";
const NAME = `[\\ue000-${PRONOUN}]`;

/** One of these words and phrases, which bars separate. */
function anyOf(...phrases: readonly string[]): string {
  return `(?:${phrases.join("|")})`;
}

/** Words that may be between a negation and what is negated. */
const LINKS = `(?: ${
  anyOf(
    "a|an|the|any|some|another|more|other|such|too|very|so|much|many|this|that|these|those|your|their|his|her|all|every|each|really|ever|even",
    "again|please|pls|of|to|for|at|in|on|with|by|from|about|around|into|through|like|up|me|us|them|anymore|single|big|huge|damn|minute of",
    "kinds?|sorts?|types?|stuff|things?|something|anything|anyone|person|films?|movies?|music|songs?|as|be|being|is|do|have|having",
    "go|going|see|seeing|watch|watching|eat|eating|drink|wear|wearing|listen|listening|hear|hearing|visit|buy|buying|order|take|try|trying|use",
    "play|playing|read|get|travel|fly|return|show|recommend|suggest|sit|sitting|choose|pick|look|looking|feel|feeling|enjoy|want|wanna",
  )
})*`;
/** One more word, as in "no silly comedy", but none that is itself what is negated. */
const ANY_WORD = `(?: (?!${
  anyOf(
    "miss|missing|wait|forget|leave|stop|lose|skip|hate|dislike|mind|doubt|wonder|problem|idea|rush|one|matter|way|reason|harm|shame|worries",
    "i|it|he|she|we|they|you|thanks?|only|just|bad|longer|cook|good|better|sure",
  )
}\\b)[a-z]+)?`;
const ADVERBS =
  "(?: (?:really|even|ever|particularly|actually|just|much|usually|honestly|necessarily|exactly|also|both|all|quite|at all))*";
const DEGREE =
  "(?: (?:so|very|really|just|pretty|quite|kinda|kind of|sort of|a bit|a little|absolutely|such|the|a|an|honestly|simply|totally|completely|big|huge|too|rather|also|both|all|of))*";

/** Before a negative word it makes the whole positive: "I never get tired of", "I do not hate", "I used to hate". */
export const REVERSED =
  /\b(?:not|never|no longer|no(?:body| one)|nothing|none|neither|hardly|impossible|no reason|no need)\b[^,;|]*$|\bused to(?: (?:really|always|absolutely|totally|just))? ?$/;
/** Denies what follows: "I never said", "it is not that", "if it is not". */
export const DENIED = new RegExp(
  `\\b(?:never said|not say|single thing|is not a|impossible|not that|can not not)\\b|\\bnot think(?: that)?$|\\bif ${PRONOUN} is not${LINKS}$`,
);

/** Leaves something out: "anything except". */
export const EXCEPT = new RegExp(
  `\\b${
    anyOf(
      "except|excepting|excluding|exception of|barring|unlike|other than|apart from|aside from|instead of|rather than|in place of",
      "(?:any|every|all)[a-z]* (?:[^ ]+ )?(?:besides|bar|minus)|that (?:is|are|will) not",
    )
  }(?: for)?${LINKS}$`,
);
/** Gets rid of something, or has had enough of it. */
export const AVOID = new RegExp(
  `\\b(?:${
    anyOf(
      "avoid|avoiding|skip|skipping|forget|ditch|exclude|hide|remove|leave out|leaving out|cut out|(?:keep|stay) away from|steer clear of|pass on",
      "(?:stop|stopped) [a-z]+ing|quit(?: [a-z]+ing)?|(?:gave|give|given) up|get rid of|say no to|turn down|enough of|enough with|my fill of",
      "(?:done|through|finished|fed up|bored|disappointed) with|(?:sick|tired|bored) of|(?:put|turned) off by|(?:bored|disappointed) by|disappointed in",
      "im over|so over|gone off|went off|allergic to|intolerant to|regret|regretted|walked out (?:of|on)|refuse to|lost me at|thumbs down",
      "yuck|e+w+|ugh|no (?:interest in|desire to|time for)",
      "no need (?:for|of|to (?:show|see|watch|recommend|suggest|include|give|offer|list|bring|send))",
    )
  }${LINKS}|\\bno way(?: [a-z]+){0,4})$`,
);
export const WITHOUT = new RegExp(`\\b(?:without|less)${LINKS}${ANY_WORD}$`);
export const NO = new RegExp(
  `(?:\\b(?:no|none of|neither|nor)${LINKS}${ANY_WORD}|(?:^|[,|] |\\b(?:and|with|or|want|eat|like) )nothing${LINKS}(?: (?:containing|involving|made of))?${LINKS})$`,
);
/** "not", right before what is negated. */
export const NOT = new RegExp(
  `(?<!\\b(?:why|or|whether|say|if|did|do|have|has|had|ive) )\\bnot${LINKS}(?: (?:quite|keen|interested|mood|fans?|fond|after|wild|crazy|gonna|my)${LINKS})*(?: (?!only|just|far|sure|that|bad)[a-z]+(?= ${NAME}))?$`,
);
export const HATE = new RegExp(
  `\\b${
    anyOf(
      "(?:hate|loathe|despise|dislike)[sd]?|detest(?:s|ed)?|(?:can|could) not (?:stand|bear|take|deal with|get into|finish)",
    )
  }${ADVERBS}${LINKS}$`,
);

const WANT = anyOf(
  "want|wanna|like|love|enjoy|care (?:for|about)|fancy|need|feel like|feel|dig|appreciate|do|get into|go for|rate|trust|prefer|recommend|suggest|show|give",
  "offer|play|bring|send|contain|include|be|look for|liked|loved|enjoyed|cared for|wanted|got into|understood|warmed to",
);
const CONSUME = anyOf(
  "watch|see|eat|drink|wear|listen|go|visit|buy|order|take|use|try|read|rewatch|sit|choose|pick|fly|travel|return|pay|touch",
);
const I_WOULD = "(?: (?:i|id|ill|we|wed|well|would|will|really))+";
/** "I do not want", "I would not watch", "I can not eat"; what was not seen is not disliked. */
export const NOT_WANTED = new RegExp(
  `\\b(?:${
    anyOf(
      `(?:not|never|no longer|no(?:body| one))${ADVERBS}(?: think${I_WOULD})? (?:${WANT}|want to)s?`,
      `(?<!\\b(?:did|have|has|had|could|can|ive) )(?:not|never|no longer|no(?:body| one))${ADVERBS} ${CONSUME}s?`,
      "(?:can|could|must) not(?: even)? (?:eat|drink|wear|have|watch)",
    )
  })${LINKS}${ANY_WORD}${LINKS}$`,
);
/** "I would rather have this than that", "I prefer this to that". */
export const PREFERS_OTHER = new RegExp(
  `\\b(?:(?:rather|sooner)\\b[^,|]* than|prefer(?:red)?\\b[^,|]*(?: than|${NAME}[^,|]* (?:to|over)))${LINKS}$`,
);
export const NOT_A_FAN = new RegExp(
  `\\b(?:not|never)(?: [a-z]+){0,3} (?:fans? of|into|interested in|fond of|keen on|big on|crazy about|impressed (?:by|with))${LINKS}$`,
);
/** Before "not" it is about what the user knows: "I have seen one, but not the other". */
export const SEEN = /\b(?:seen|saw|watched|heard of|tried|know|been to|have you)\b/;

const BE =
  "(?:(?:movies? |films? )?(?:is|was|are|were)|s|seems|seemed|looks|looked|feels|felt|sounds|sounded)";
const BAD = anyOf(
  "terrible|awful|boring|horrible|bad|worst|overrated|crap|crappy|trash|garbage|rubbish|dreadful|disappointing|disappointment|waste|lame|stupid|dumb|dull",
  "annoying|ridiculous|meh|mediocre|unwatchable|ugly|disgusting|gross|shit|shite|nope|poor|tedious|weak|pointless|cringe|atrocious",
);
export const IS_BAD = new RegExp(
  `^ ?(?!is too bad)${BE}${DEGREE} (?:${BAD}\\b|no(?:$| (?:from|for|thank|go|way))|not$)`,
);
export const IS_TOO = new RegExp(
  `^ ?${BE}(?: (?:way|far|a bit|much|just|really|a little))* too (?!good|funny|cool|cute|busy)[a-z]+`,
);
export const IS_NOT_GOOD = new RegExp(
  `^ ?(?:just )?${BE}(?: just)? not${ADVERBS}${DEGREE}(?:$| ${
    anyOf(
      "for me|my|our|good|great|funny|what i|worth|fun|interesting|enjoyable|into|a fan|fan|appealing|something i|up to|enough",
    )
  }\\b)`,
);
export const FAILS = new RegExp(
  `^ ?(?:(?:just|really|does|did|do|in general) )*${
    anyOf(
      "sucks?|sucked|stinks|stank|(?:bores|bored|annoys|annoyed|disappointed|disgusts) me|let me down|broke|lost me|put me to sleep|away from me",
      "not (?:agree|work|appeal)|not do (?:it|anything|much) for me|nothing for me|(?:leaves?|left) me cold|(?:gets?|got) on my nerves",
      "(?:gives?|gave) me (?:a |an |the )?(?:headaches?|rash|migraines?|creeps|ick|heartburn|nightmares)|makes? me (?:sick|sad|angry|cringe|sleepy)",
      "i never (?:got into|liked|enjoyed|understood)",
    )
  }\\b|^ (?:do|does|did) not$|^ i (?:really )?(?:(?:do|did|can) not|never|hate|hated|disliked?)(?: (?:really|like|liked|want|enjoy|enjoyed|love|stand|need))*(?: (?:at all|much|that much|very much))?$`,
);
/** A verdict after a name, or as a sentence of its own. */
export const VERDICT =
  /^,? ?(?:lol |um |uh |well )?(?:no thanks|no thank you|hard pass|yuck|e+w+|ugh|never again|not for me|not interested|nope|nah|not tonight|terrible thing|boring|meh|awful|overrated|no way|no$)(?: (?:thanks|thank you|lol|please|again))?(?:$|,)/;
/** A question that proposes what it names. */
export const PROPOSAL = /^(?:so |and |then )*(?:how|what) about\b/;
/** An opinion on what was named just before, without a pronoun. */
export const REPLY = new RegExp(
  `(?:^|[,|] ?|\\b(?:yes|yeah|no|nah|nope|i|but|really|honestly) )${
    anyOf(
      "hard pass|hated|not interested|never again|not for me|not my (?:thing|style|type|cup of tea)|not(?: (?:really|much of|such))?(?: a)?(?: big| huge)? fan",
      "did not(?: really)? (?:like|enjoy|care for)|was not (?:for me|a fan)|do not want to",
    )
  }$`,
);
/** Before a pronoun: liked after all. */
export const LIKES =
  /(?<!\bnot(?: really)? )\b(?:love|loved|adore|adored|like|liked|enjoy|enjoyed|want)(?: to (?:see|watch|try|have|hear))?$/;

/** Before what others think, or what the other side does. */
export const OTHERS = new RegExp(
  `\\b${
    anyOf(
      "people|critics?|reviewers?|reviews|every(?:one|body)|they|(?:my|her|his) ex|(?:some|most|many|others)(?= (?:say|think|find|found|hate|hated|do not|dislike)\\b)",
    )
  }\\b(?![^,|]*\\b(?:i|me|we)\\b)|\\b(?:(?:say|tell|claim|think)s?|said|told|claimed|heard|you (?:(?:do|did|can) not|hate|dislike))\\b[^,|]*$`,
);
export const ONE_SELF =
  /\b(?:i|we|im|ive|id)\b(?= (?:think|thought|said|say|guess|told you|would say|do not think)\b)/;

export const QUESTION =
  /^(?:(?:so|and|but|well|hmm|ok|okay|oh|hi|hey) )*(?:is|are|was|were|do|does|did|have|has|can|could|would|will|should|why|whats?|how|who|where|when|which|whether)\b/;
/** Joins a name to the one before it, with the same negation. */
export const CONTINUES = new RegExp(`^,? ?(?:and|or|nor)${LINKS}$`);
