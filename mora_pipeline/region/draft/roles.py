"""What a column's name says that it plays, in the languages and habits of the sources that people use."""

import re
import unicodedata
from collections.abc import Iterable

# How strongly a word says it, 0 to 1: a word that means much else besides says it weakly.
LATITUDE = {
    "lat": 1, "latitude": 1, "latitud": 1, "latitudine": 1, "breite": 0.9, "breitengrad": 1, "blklatdd": 1,
    "latdd": 1, "intptlat": 1, "lati": 0.8, "szelesseg": 0.9, "y": 0.5, "ycoord": 0.5, "ymin": 0.4, "纬度": 1,
    "緯度": 1, "широта": 1,
}  # fmt: skip
LONGITUDE = {
    "lon": 1, "lng": 1, "long": 1, "longitude": 1, "longitud": 1, "longitudine": 1, "laenge": 0.9, "lange": 0.8,
    "langengrad": 1, "laengengrad": 1, "blklondd": 1, "londd": 1, "intptlon": 1, "intptlong": 1, "hosszusag": 0.9,
    "x": 0.5, "xcoord": 0.5, "xmin": 0.4, "经度": 1, "經度": 1, "経度": 1, "долгота": 1,
}  # fmt: skip
ORIGIN = {
    "origin": 1, "orig": 1, "o": 0.6, "from": 0.9, "start": 0.9, "started": 0.8, "source": 0.7, "src": 0.7,
    "home": 0.9, "h": 0.6, "residence": 0.9, "residencia": 0.8, "origen": 1, "origem": 1, "origine": 1, "herkunft": 1,
    "wohnort": 1, "von": 0.8, "quelle": 0.8, "depart": 0.8, "departure": 0.8, "dep": 0.5, "pickup": 1, "pu": 0.9,
    "codgeo": 0.9, "partenza": 1, "salida": 0.8, "woonplaats": 0.9, "van": 0.6, "出发": 1, "откуда": 1, "i": 0.3,
}  # fmt: skip
DESTINATION = {
    "destination": 1, "dest": 1, "d": 0.6, "to": 0.9, "end": 0.9, "stop": 0.7, "ended": 0.8, "target": 0.7,
    "tgt": 0.7, "dst": 0.9, "work": 0.9, "w": 0.6, "workplace": 0.9, "destino": 1, "ziel": 1, "arbeitsort": 1,
    "nach": 0.8, "arrival": 0.8, "arrivee": 0.8, "arr": 0.5, "arrivo": 1, "llegada": 0.8, "dropoff": 1, "do": 0.9,
    "dclt": 1, "trabajo": 0.9, "lavoro": 0.9, "werk": 0.9, "naar": 0.6, "到达": 1, "куда": 1, "j": 0.3,
}  # fmt: skip
FLOW = {
    "flow": 1, "flows": 1, "flux": 1, "flujo": 1, "flusso": 1, "nbflux": 1, "trips": 0.95, "viajes": 0.95,
    "jobs": 0.95, "s000": 1, "count": 0.9, "workers": 0.9, "commuters": 0.95, "pendler": 0.95, "crisis": 0.75,
    "baseline": 0.7, "volume": 0.8, "people": 0.8, "persons": 0.8, "persone": 0.8, "personas": 0.8, "employees": 0.8,
    "anzahl": 0.8, "aantal": 0.8, "quantity": 0.7, "amount": 0.6, "number": 0.6, "num": 0.5, "n": 0.5, "total": 0.6,
    "totale": 0.6, "value": 0.6, "wert": 0.6, "valor": 0.6, "obs": 0.5, "weight": 0.5, "movements": 0.9,
    "visits": 0.8, "visitors": 0.8, "journeys": 0.95, "journey": 0.7, "moves": 0.9, "rides": 0.95, "vehicles": 0.7,
}  # fmt: skip
NOT_A_FLOW = {
    "km", "distance", "distancia", "dist", "duration", "time", "minutes", "hour", "hours", "hora", "year", "month",
    "day", "date", "age", "edad", "moe", "error", "std", "se", "share", "percent", "pct", "ratio", "code", "id",
    "passenger", "passengers", "fare", "price", "tip", "speed", "quadkey", "createdate", "version", "rank", "sexo",
    "renta", "periodo", "lat", "lon", "latitude", "longitude", "x", "y", "index", "level", "zscore", "change",
}  # fmt: skip
TIME = {
    "time": 1, "timestamp": 1, "datetime": 1, "ts": 0.8, "date": 0.9, "day": 0.8, "fecha": 0.9, "datum": 0.9,
    "zeit": 1, "hora": 0.7, "heure": 0.9, "jour": 0.8, "tag": 0.5, "tiempo": 1, "data": 0.4, "started": 0.8,
    "at": 0.5, "when": 0.8, "moment": 0.8, "时间": 1, "время": 1, "createdate": 0.3,
}  # fmt: skip
USER = {
    "user": 1, "userid": 1, "uid": 1, "device": 0.9, "deviceid": 0.9, "caid": 0.9, "maid": 0.9, "imsi": 0.9,
    "imei": 0.9, "person": 0.9, "persona": 0.8, "traveller": 0.9, "traveler": 0.9, "agent": 0.8, "usuario": 1,
    "utilisateur": 1, "nutzer": 1, "customer": 0.8, "card": 0.7, "trajectory": 0.6, "vehicle": 0.6, "taxi": 0.6,
    "driver": 0.6, "who": 0.7, "subscriber": 0.9, "individual": 0.8, "member": 0.4, "id": 0.3,
}  # fmt: skip
ID = {
    "id": 1, "code": 0.9, "geoid": 1, "fips": 0.9, "place": 0.7, "zone": 0.7, "tract": 0.7, "geocode": 0.9,
    "key": 0.6, "cod": 0.8, "codgeo": 1, "codigo": 0.9, "ags": 0.9, "nuts": 0.8, "lau": 0.8, "station": 0.5,
    "cell": 0.5, "h3": 0.6, "msoa": 0.7, "lsoa": 0.7, "insee": 0.8, "gid": 0.6, "objectid": 0.3, "uuid": 0.6,
    "tabblk": 0.8, "municipality": 0.5, "gemeente": 0.5, "zip": 0.7, "zipcode": 0.8, "postcode": 0.8, "plz": 0.8,
    "placeid": 1, "zoneid": 1, "locationid": 1, "ref": 0.5,
}  # fmt: skip
NAME = {
    "name": 1, "names": 0.95, "nombre": 0.9, "nom": 0.9, "nome": 0.9, "naam": 0.9, "title": 0.8, "label": 0.6,
    "bezeichnung": 0.8, "nev": 0.8, "primary": 0.3, "名称": 1, "название": 1,
}  # fmt: skip
CATEGORY = {
    "category": 1, "categories": 1, "kategorie": 1, "categoria": 1, "categorie": 1, "kategoria": 1, "type": 0.8,
    "kind": 0.8, "class": 0.7, "fclass": 1, "amenity": 0.9, "shop": 0.6, "subcategory": 0.7, "taxonomy": 0.9,
    "tipo": 0.8, "art": 0.6, "group": 0.4, "sector": 0.5, "activity": 0.6, "naics": 0.6, "labels": 0.85,
    "primary": 0.1, "类别": 1, "类型": 0.8, "категория": 1,
}  # fmt: skip
COUNT = {"count": 1, "counts": 1, "n": 0.8, "number": 0.8, "num": 0.7, "anzahl": 0.9, "aantal": 0.9, "total": 0.5}
POPULATION = {
    "population": 1, "pop": 0.9, "poblacion": 1, "populacao": 1, "popolazione": 1, "einwohner": 1, "inwoners": 1,
    "inw": 0.8, "habitants": 0.9, "habitantes": 0.9, "bevoelkerung": 1, "bevolkerung": 1, "residents": 0.8,
    "nepesseg": 1, "lakossag": 1, "households": 0.5, "人口": 1, "население": 1,
}  # fmt: skip
DENSITIES = {
    "density", "dichte", "dichth", "densite", "densidad", "share", "pct", "percent", "rate", "growth", "change",
}  # fmt: skip
LABELS = {
    "label", "name", "lib", "libelle", "libgeo", "l", "nom", "nombre", "naam", "bezeichnung", "desc", "description",
}  # fmt: skip
YEAR = re.compile(r"(19|20)\d\d")
_COMPOUND = re.compile(
    r"(start|begin|end|stop|pickup|dropoff|from|to|origin|destination|dest|home|work|trip)"
    r"(time|date|datetime|id|lat|lon|lng|latitude|longitude|station|zone|code|place|cell)"
)
_ENDINGS = ("latitude", "lat"), ("longitude", "long", "lng", "lon")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case without accents: ``PULocationID`` is pu, location, id."""
    text = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    words = [word for word in re.split(r"[\W_]+", text.lower()) if word]
    parts = [match.groups() if (match := _COMPOUND.fullmatch(word)) else (word,) for word in words]
    return tuple(word for part in parts for word in part)


def said(name: str, words: dict[str, float]) -> float:
    """How strongly a name says a role, 0 to 1; further words in it weaken it a little."""
    own = words_of(name)
    joined = "".join(own)
    strongest = max((words.get(word, words.get(word.rstrip("0123456789"), 0.0)) for word in own), default=0.0)
    return max(strongest - 0.03 * (len(own) - 1), words.get(joined, 0.0), 0.0)


def has_any(name: str, words: Iterable[str]) -> bool:
    """Whether a name has one of these words."""
    return not set(words_of(name)).isdisjoint(words)


def axis(name: str) -> tuple[str, float, tuple[str, ...]] | None:
    """Whether a name is that of a latitude or longitude, how strongly, and its other words.

    The coordinates of one point share their other words: ``start_lat`` and ``start_lng``, ``pickuplat`` and
    ``pickuplon``.
    """
    own = words_of(name)
    for kind, vocabulary, endings in (("latitude", LATITUDE, _ENDINGS[0]), ("longitude", LONGITUDE, _ENDINGS[1])):
        for place in range(len(own) - 1, -1, -1):
            word = own[place] if own[place] in vocabulary else own[place].rstrip("0123456789")
            digits = own[place][len(word) :]
            if word in vocabulary:
                return kind, vocabulary[word], (*own[:place], *([digits] if digits else []), *own[place + 1 :])
        for place, word in enumerate(own):
            for ending in endings:
                if word.endswith(ending):
                    return kind, 0.4, (*own[:place], word.removesuffix(ending), *own[place + 1 :])
    return None


def end_of(words: Iterable[str]) -> str | None:
    """Whether words speak of where a trip starts or where it ends."""
    own = [word.rstrip("0123456789") for word in words]
    starts, ends = (max((table.get(word, 0.0) for word in own), default=0.0) for table in (ORIGIN, DESTINATION))
    if starts == ends:
        return None
    return "origin" if starts > ends else "destination"


def slug(text: str, fallback: str) -> str:
    """A name of a modality, a task or a region, made from any text."""
    made = re.sub(r"[^a-z0-9]+", "_", "_".join(words_of(text))).strip("_")[:63].rstrip("_")
    if made and not made[0].isalpha():
        made = f"{fallback}_{made}"[:63]
    return made or fallback
