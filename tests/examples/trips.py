"""Small files in the forms of trip records and of movement between tiles."""

import zipfile
from pathlib import Path

STATIONS = {85: (41.900960, -87.623777), 289: (41.912616, -87.681391)}
LOOP, PARK = (41.8789, -87.6359), (41.9117, -87.6316)


def divvy(folder: Path) -> None:
    """Two months of trips: quoted header, two without an end, one that ends at 0, 0; macOS left its own beside it."""
    head = [
        "ride_id", "rideable_type", "started_at", "ended_at", "start_station_name", "start_station_id",
        "end_station_name", "end_station_id", "start_lat", "start_lng", "end_lat", "end_lng", "member_casual",
    ]  # fmt: skip
    ends = [(LOOP, PARK), (LOOP, PARK), (PARK, LOOP), (LOOP, LOOP), (LOOP, None), (PARK, None), (LOOP, (0.0, 0.0))]
    lines = [",".join(f'"{name}"' for name in head)]
    for number, (start, end) in enumerate(ends):
        times = f'"2024-04-0{number + 1} 08:21:0{number}.381","2024-04-0{number + 1} 08:35:00.104"'
        stop = f'"Clark St, {number}","TA13",' if end else ",,"
        to = f"{end[0]},{end[1]}" if end else ","
        lines.append(
            f'"C{number:07}","electric_bike",{times},"State St","SL-007",{stop}{start[0]},{start[1]},{to},"member"'
        )
    name, more = "202404-divvy-tripdata.csv", "202405-divvy-tripdata"
    others = {f"__MACOSX/._{name}": b"\0\5\x16\7\xff"}
    zipped(folder / "202404-divvy-tripdata.zip", {name: "\n".join([*lines, ""])}, others)
    # Larger months are in parts, within a folder.
    parts = {
        f"{more}/{more}_{number}.csv": "\n".join([lines[0], line, ""]) for number, line in enumerate(lines[1:3], 1)
    }
    others = {f"__MACOSX/{more}/._{more}_1.csv": b"\0\5\x16\7\xff", f"{more}/.DS_Store": b"\0\0\0\1Bud1"}
    zipped(folder / f"{more}.zip", parts, others)


def citi_bike(folder: Path) -> None:
    """A month of trips by station with coordinates, some of a station without; names and times in quotes."""
    head = (
        '"tripduration","starttime","stoptime","start station id","start station name","start station latitude",'
        '"start station longitude","end station id","end station name","end station latitude","end station longitude",'
        '"bikeid","usertype","birth year","gender"'
    )
    one = '493,"W 45 St & 6 Ave",40.75500254,-73.97448060'
    two = '539,"Metropolitan Ave & Bedford Ave",40.71534825,-73.96024116'
    rows = [
        f'897,"2019-07-01 00:00:00.1320","2019-07-01 00:14:58.0040",{one},{two},1,"Customer",2000,0',
        f'267,"2019-07-01 00:00:05.1780","2019-07-01 00:04:32.4500",{two},{one},2,"Subscriber",\\N,1',
        f'99,"2019-07-06 10:00:05.1780","2019-07-06 10:04:32.4500",{two},{one},2,"Subscriber",1997,1',
        f'22,"2019-07-01 00:00:29.9930","2019-07-01 00:36:51.4410",3267,"8D OPS",0.0,0.0,{two},3,"Subscriber",1969,0',
    ]
    zipped(
        folder / "201907-citibike-tripdata.csv.zip", {"201907-citibike-tripdata.csv": "\n".join([head, *rows, ""])}, {}
    )


def divvy_stations(folder: Path) -> None:
    """Two quarters of trips by station, one of a station that opened later; durations with thousands, quoted."""
    head = (
        "trip_id,start_time,end_time,bikeid,tripduration,from_station_id,from_station_name,to_station_id,"
        "to_station_name,usertype,gender,birthyear"
    )
    quarters = {
        "2018_Q4": [(85, 289, "231.0"), (85, 289, '"1,783.0"')],
        "2019_Q1": [(289, 85, "441.0"), (85, 673, "90.0")],
    }
    for quarter, trips in quarters.items():
        lines = [
            f"{number},{quarter[:4]}-02-01 00:0{number}:37,{quarter[:4]}-02-01 00:11:07,2167,{seconds},"
            f'{start},Name of {start},{end},"Lake Shore Dr & {end}",Subscriber,Male,'
            for number, (start, end, seconds) in enumerate(trips)
        ]
        (folder / f"Divvy_Trips_{quarter}.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    stations = [f"{i},Name of {i},Chicago,{lat},{lon},19,6/28/2013 10:12:12," for i, (lat, lon) in STATIONS.items()]
    text = "\n".join(["id,name,city,latitude,longitude,dpcapacity,online_date,", *stations, ""])
    (folder / "Divvy_Stations_2017_Q3Q4.csv").write_text(text, encoding="utf-8")


def meta_movement(folder: Path) -> None:
    """Two files of eight hours, with \\N where fewer than ten people moved."""
    head = (
        "geometry,start_lat,start_lon,end_lat,end_lon,country,n_crisis,n_baseline,n_difference,percent_change,z_score,"
        "start_quadkey,end_quadkey,date_time"
    )
    tiles = {"031313131312": (51.4814, -0.1318), "031313131313": (51.4814, -0.0439)}
    flows = {
        "0000": [(0, 1, "21.0", "40.7"), (1, 0, r"\N", r"\N")],
        "0800": [(0, 1, "30.5", "33"), (1, 1, "812", r"\N")],
    }
    (folder / "movement").mkdir()
    keys, points = list(tiles), list(tiles.values())
    for hour, rows in flows.items():
        lines = [head]
        for start, end, crisis, baseline in rows:
            (a, b), (c, d) = points[start], points[end]
            line = f'"LINESTRING({b} {a}, {d} {c})"' if start != end else r"\N"
            lines.append(
                f"{line},{a},{b},{c},{d},GB,{crisis},{baseline},\\N,\\N,\\N,"
                f"{keys[start]},{keys[end]},2020-04-01 {hour[:2]}:00"
            )
        name = f"Britain Coronavirus Disease Prevention Map 2020-04-01 {hour}.csv"
        (folder / "movement" / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


def zipped(file: Path, texts: dict[str, str], others: dict[str, bytes]) -> None:
    """A zip of CSV files, and of what programs leave beside them."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        for name, content in others.items():
            archive.writestr(name, content)
