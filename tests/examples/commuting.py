"""Small files in the forms of official statistics of commuting."""

import gzip
from pathlib import Path

LODES_BLOCKS = {  # Hartford and Bolton, Connecticut: state 09
    "090035001001000": (41.7638, -72.6741),
    "090035001001001": (41.7702, -72.6840),
    "090135241001000": (41.8016, -72.4328),
}
LODES_HEADER = "w_geocode,h_geocode,S000,SA01,SA02,SA03,SE01,SE02,SE03,SI01,SI02,SI03,createdate"


def lodes8(folder: Path) -> None:
    """Two states' worth: a main file, an aux file with a home in another state, a crosswalk in quotes."""
    one, two, far = LODES_BLOCKS
    main = [(one, two, 12), (one, far, 3), (two, one, 5), (far, far, 7)]  # workplace, home, jobs
    aux = [(one, "250135241001000", 4)]  # the home is in Massachusetts
    for part, flows in (("main", main), ("aux", aux)):
        rows = [f"{work},{home},{jobs},1,1,{jobs - 2},0,1,{jobs - 1},0,0,{jobs},20240920" for work, home, jobs in flows]
        packed(folder / f"ct_od_{part}_JT00_2022.csv.gz", "\n".join([LODES_HEADER, *rows, ""]))
    packed(folder / "ct_od_main_JT00_2021.csv.gz", f"{LODES_HEADER}\n{one},{two},1000,1,1,1,1,1,1,1,1,1,20230321\n")
    head = [
        "tabblk2020",
        "st",
        "stusps",
        "stname",
        "cty",
        "ctyname",
        "trct",
        "trctname",
        "bgrp",
        "blklatdd",
        "blklondd",
    ]
    lines = [",".join(f'"{name}"' for name in [*head, "createdate"])]
    for block, (latitude, longitude) in LODES_BLOCKS.items():
        row = [
            block,
            "09",
            "CT",
            "Connecticut",
            block[:5],
            "Capitol Planning Region, CT",
            block[:11],
            "5001",
            block[:12],
        ]
        lines.append(",".join(f'"{value}"' for value in [*row, f"{latitude:.6f}", f"{longitude:.6f}", "20240920"]))
    packed(folder / "ct_xwalk.csv.gz", "\n".join([*lines, ""]))


MSOAS = {"E02000001": (51.5156, -0.0918), "E02000002": (51.5865, 0.1386), "W02000001": (53.4114, -4.3534)}


def odwp01ew(folder: Path) -> None:
    """Flows at workplaces (3), at home (1), abroad (2), and one to Scotland; and the areas, with a byte order mark."""
    city, barking, anglesey = MSOAS
    rows = [
        (barking, "Barking and Dagenham 001", city, "City of London 001", 3, 210),
        (city, "City of London 001", city, "City of London 001", 3, 15),
        (anglesey, '"Isle of Anglesey 001, Môn"', city, "City of London 001", 3, 2),
        (barking, "Barking and Dagenham 001", barking, "Barking and Dagenham 001", 1, 1900),
        (barking, "Barking and Dagenham 001", "999999999", "Offshore installation", 2, 4),
        (city, "City of London 001", "S02001237", "Scotland", 3, 1),
    ]
    labels = {
        1: "Mainly working at or from home",
        2: '"Offshore, no fixed place, or outside the UK"',
        3: "Working in the UK",
    }
    head = (
        "Middle layer Super Output Areas code,Middle layer Super Output Areas label,MSOA of workplace code,"
        "MSOA of workplace label,Place of work indicator (4 categories) code,"
        "Place of work indicator (4 categories) label,Count"
    )
    lines = [f"{home},{name},{work},{where},{code},{labels[code]},{n}" for home, name, work, where, code, n in rows]
    (folder / "ODWP01EW_MSOA.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    areas = [f"{i},{code},N,N,1,2,{lat},{lon},{{A-{i}}}" for i, (code, (lat, lon)) in enumerate(MSOAS.items(), 1)]
    name = "Middle_layer_Super_Output_Areas_December_2021_Boundaries_EW_BGC_V3_-5848000498107580021.csv"
    text = "\n".join(["FID,MSOA21CD,MSOA21NM,MSOA21NMW,BNG_E,BNG_N,LAT,LONG,GlobalID", *areas, ""])
    (folder / name).write_text(text, encoding="utf-8-sig")


COMMUNES = {
    "01001": (46.153, 4.926), "01004": (45.961, 5.372), "69123": (45.758, 4.835), "75056": (48.859, 2.347),
    "2A004": (41.935, 8.701),
}  # fmt: skip


def insee(folder: Path) -> None:
    """Flows with decimals and codes that start with 0 or hold letters, arrondissements, and a place of work abroad."""
    rows = [
        ("01001", "L'Abergement-Clémenciat", "01001", "L'Abergement-Clémenciat", "88.0632146"),
        ("01001", "L'Abergement-Clémenciat", "69381", "Lyon 1er Arrondissement", "10.125"),
        ("01004", "Ambérieu-en-Bugey", "69383", "Lyon 3e Arrondissement", "225.5"),
        ("75101", "Paris 1er Arrondissement", "75116", "Paris 16e Arrondissement", "1204.25"),
        ("2A004", "Ajaccio", "75108", "Paris 8e Arrondissement", "31.0625"),
        ("01004", "Ambérieu-en-Bugey", "SU001", "Suisse", "5.004"),
    ]
    text = "\n".join(["CODGEO;LIBGEO;DCLT;L_DCLT;NBFLUX_C22_ACTOCC15P", *map(";".join, rows), ""])
    (folder / "base-flux-mobilite-domicile-lieu-travail-2022.csv").write_text(text, encoding="utf-8")
    head = (
        ",code_insee,nom_standard,dep_code,population,latitude_mairie,longitude_mairie,latitude_centre,longitude_centre"
    )
    lines = [f"{i},{code},Nom,{code[:2]},812,{a},{o},{a},{o}" for i, (code, (a, o)) in enumerate(COMMUNES.items())]
    (folder / "communes-france-2025.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")


def packed(file: Path, text: str) -> None:
    """A text as a .gz file."""
    file.write_bytes(gzip.compress(text.encode()))
