"""RecBole's sequential models that cannot be an encoder, each with what it does instead."""

_GRAPH = "its graph has the whole session in it, later items too, and gives one state per session"
_POOLED = "it pools the whole session into one state"
_POOLED_USER = f"{_POOLED}, to which it adds an embedding of the user"
_PAIR = "it attends to the session in the light of one candidate item: a score, no state"
_FEATURES = "it reads item features, and an encoder gets item embeddings alone"
_KNOWLEDGE = "it reads embeddings of a knowledge graph, and an encoder gets item embeddings alone"
_LAST = "it knows the last item and the user's embedding: no state of a session"

NO_ENCODER: dict[str, str] = {
    "bert4rec": "its attention goes both ways, so every state has seen the later items",
    "caser": f"{_POOLED_USER}: its convolutions end in a maximum over all positions",
    "core": f"{_POOLED}: an average of item embeddings, weighted by a softmax over all positions",
    "dien": _PAIR,
    "din": _PAIR,
    "fdsa": _FEATURES,
    "fearec": "its Fourier transform runs over all positions, so every state has seen later items",
    "fossil": _POOLED_USER,
    "fpmc": _LAST,
    "gcsan": _GRAPH,
    "gru4reccpr": "what it adds to gru4rec is a softmax over several states: use gru4rec",
    "gru4recf": _FEATURES,
    "gru4reckg": _KNOWLEDGE,
    "hgn": _POOLED_USER,
    "hrm": _POOLED_USER,
    "ksr": _KNOWLEDGE,
    "lightsans": "it pools all positions into interests, so every state has seen the later items",
    "narm": f"{_POOLED}: an attention over all positions, asked by the last one",
    "npe": _POOLED_USER,
    "repeatnet": "it pools the whole session into probabilities of items: no state",
    "s3rec": "it is pretrained on item features, with attention both ways; what is left is sasrec",
    "sasreccpr": "what it adds to sasrec is a softmax over several states: use sasrec",
    "sasrecf": _FEATURES,
    "shan": _POOLED_USER,
    "sine": f"{_POOLED}: interests, weighted by softmaxes over all positions",
    "srgnn": _GRAPH,
    "stamp": f"{_POOLED}: an attention over all positions, asked by their mean and the last one",
    "transrec": _LAST,
}
