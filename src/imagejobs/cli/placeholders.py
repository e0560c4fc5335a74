"""Settings that still hold what a guide shows in the place of a real value."""

import re

from imagejobs.settings import Settings, variable_of

_SUPABASE = "Supabase shows it under Project Settings, the address at Data API, the keys at API Keys"
_GOOGLE = "Google AI Studio makes one"
_BANANA = "the service of NANO_BANANA_API_URL gives one"
_WHERE = {
    **dict.fromkeys(("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"), _SUPABASE),
    **dict.fromkeys(("GOOGLE_AI_API_KEY", "GEMINI_API_KEY", "IMAGEJOBS_GEMINI_API_KEY"), _GOOGLE),
    **dict.fromkeys(("NANO_BANANA_API_KEY", "IMAGEJOBS_NANOBANANA_API_KEY"), _BANANA),
}
_ADDRESSES = {_GOOGLE: ["IMAGEJOBS_GEMINI_BASE_URL"], _BANANA: ["NANO_BANANA_API_URL", "IMAGEJOBS_NANOBANANA_BASE_URL"]}
_USUAL = Settings.model_fields["nano_banana_api_url"].default
_OURS = re.compile(r"YOUR(-[A-Z]+)+|(\w+_)?…")
_WORDS = r"your[-_ ]([a-z]+[-_ ])*(key|token|secret|id|here|project|ref|url|name)|(change|replace)[-_]?me|placeholder|x{3,}"
_OFTEN = re.compile(rf"(sb_[a-z]+_)?({_WORDS})|<.+>|\[.+\]|.{{0,40}}(…|\.{{3}})", re.IGNORECASE)
_LABEL = re.compile(r"^https?://(.*)\.supabase\.[a-z]+/?$")


def placeholders(settings: Settings) -> dict[str, str]:
    """The variables that hold one, each with where its real value is to be had; no value is told.

    What all guides write counts where a known service gives the value. A key for an address of the operator's own may be
    any word: there, and in all other settings, only what our own pages write counts.
    """
    texts, found = _texts(settings), {}
    own = {where for where, names in _ADDRESSES.items() if any(texts.get(name, _USUAL) != _USUAL for name in names)}
    for name, text in texts.items():
        where = _WHERE.get(name)
        is_often = where is not None and where not in own and _OFTEN.fullmatch(_LABEL.sub(r"\1", text))
        if is_often or any(map(_OURS.fullmatch, re.split(r"[/.:@\[\]]", text))):
            found[name] = where or "the page on settings says what it is"
    return found


def _texts(settings: Settings) -> dict[str, str]:
    given = {variable_of(field): value for field, value in settings} | dict(settings.cloud_settings)
    for provider, values in settings.provider_settings.items():
        given |= {f"IMAGEJOBS_{provider}_{name}".upper(): value for name, value in values.items()}
    return {name: value for name, value in given.items() if isinstance(value, str)}
